package survey

import (
	"context"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/iproute"
	"replypath/uplinks"
)

// Sharing reads what doctor.DiagnoseSharing needs beside the facts. Without privileges, and where the firewall cannot be
// read, there are no firewall rules in the snapshot.
func Sharing(ctx context.Context, o Options, facts uplinks.Facts) doctor.Snapshot {
	o.Settings = o.Settings.ResolveLinks(facts)
	c := &collector{Options: o, result: doctor.Snapshot{Settings: o.Settings, Facts: facts, GroupNumbers: iproute.LinkGroups()}}
	c.attempt("the saved original values", c.readOriginals)
	if o.Settings.Protect {
		c.result.SavedRulesets = c.readSavedRules()
	}
	if !o.Privileged {
		return c.result
	}
	c.attempt("the rules of the firewall", func() error {
		fw, err := host.OpenFirewall(ctx, o.Settings.Backend)
		if err != nil {
			return err
		}
		c.result.Firewall, err = fw.ForeignRules(ctx)
		return err
	})
	return c.result
}
