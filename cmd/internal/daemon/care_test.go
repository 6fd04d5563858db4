package daemon

import (
	"log/slog"
	"testing"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// The monitor hears of a link by its events and by what rounds see. Whatever comes last, a round that looked at the link
// has the last word; one that looked at another has none.
func TestARoundTellsTheMonitorHowALinkIs(t *testing.T) {
	settings, facts := uplinkstest.Settings(), uplinkstest.Facts()
	c := newCare(health.NewMonitor(nil), slog.New(slog.DiscardHandler))
	asked := health.Settings{}
	for _, u := range settings.Uplinks {
		asked.Uplinks = append(asked.Uplinks, health.Uplink{Name: u.Name, Quorum: 1})
	}
	c.observed(settings, facts, nil)
	c.attend(asked)
	reason := func(want string) {
		t.Helper()
		for _, f := range c.monitor.Uplinks()[0].Families {
			if f.Reason != want {
				t.Errorf("%s %s: %q, want %q", settings.Uplinks[0].Name, f.Family, f.Reason, want)
			}
		}
	}
	before := c.monitor.Uplinks()[0].Families[0].Reason
	c.monitor.Link("eth0", true, false)
	reason("no carrier on eth0")
	c.observed(settings, facts, settings.Shares("eth1"))
	reason("no carrier on eth0")
	c.observed(settings, facts, settings.Shares("eth0"))
	reason(before)

	down := facts.With(uplinks.Facts{Only: settings.Shares("eth0"), Links: map[string]uplinks.Link{"eth0": facts.Links["eth0"]}})
	l := down.Links["eth0"]
	l.Up, l.Carrier = false, false
	down.Links["eth0"] = l
	clear(c.stale)
	c.observed(settings, down, settings.Shares("eth0"))
	reason("eth0 is down")
	if len(c.stale) != 2 {
		t.Errorf("%d paths are to be proven anew, want those of eth0: %v", len(c.stale), c.stale)
	}
}
