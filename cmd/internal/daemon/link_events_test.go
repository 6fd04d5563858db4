package daemon

import (
	"testing"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// TestRoundsOverrideLinkEventsInTheMonitor sends a link event that comes after the round that read the link: the next round
// that reads this link corrects the monitor, one that reads another link does not.
func TestRoundsOverrideLinkEventsInTheMonitor(t *testing.T) {
	settings, facts := uplinkstest.Settings(), uplinkstest.Facts()
	c := newTestService(t, &fakeHost{}, settings).proofs
	configured := health.Settings{}
	for _, u := range settings.Uplinks {
		configured.Uplinks = append(configured.Uplinks, health.UplinkSettings{Name: u.Name, Quorum: 1})
	}
	c.updatePaths(settings, facts, nil)
	c.configure(configured)
	reason := func(want string) {
		t.Helper()
		for _, f := range c.monitor.Status()[0].Families {
			if f.Reason != want {
				t.Errorf("%s %s: %q, want %q", settings.Uplinks[0].Name, f.Family, f.Reason, want)
			}
		}
	}
	before := c.monitor.Status()[0].Families[0].Reason
	c.monitor.UpdateLink("eth0", true, false)
	reason("no carrier on eth0")
	c.updatePaths(settings, facts, settings.ScopesOf("eth1"))
	reason("no carrier on eth0")
	c.updatePaths(settings, facts, settings.ScopesOf("eth0"))
	reason(before)

	down := facts.Merge(uplinks.Facts{Scopes: settings.ScopesOf("eth0"), Links: map[string]uplinks.Link{"eth0": facts.Links["eth0"]}})
	l := down.Links["eth0"]
	l.Up, l.Carrier = false, false
	down.Links["eth0"] = l
	clear(c.dirty)
	c.updatePaths(settings, down, settings.ScopesOf("eth0"))
	reason("eth0 is down")
	if len(c.dirty) != 2 {
		t.Errorf("%d paths are dirty, want those of eth0: %v", len(c.dirty), c.dirty)
	}
}
