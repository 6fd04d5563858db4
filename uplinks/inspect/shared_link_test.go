package inspect_test

import (
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"
)

func TestLinksOnWhichNoRouterCanBeFoundAreReported(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*uplinks.Link)
		any    bool
		want   bool
	}{
		"Ethernet":                    {func(*uplinks.Link) {}, true, false},
		"a tunnel":                    {func(l *uplinks.Link) { l.MAC = "" }, true, true},
		"a point-to-point link":       {func(l *uplinks.Link) { l.PointToPoint = true }, true, true},
		"a tunnel without the option": {func(l *uplinks.Link) { l.MAC = "" }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := uplinkstest.Settings(), uplinkstest.Facts()
			s.Uplinks[1].AnyRouter = c.any
			l := f.Links["eth1"]
			l.MAC = "\x02\x00\x00\x00\x00\x01"
			c.change(&l)
			f.Links["eth1"] = l
			got := slices.ContainsFunc(inspect.Inspect(s, f).Findings(), func(x inspect.Finding) bool { return strings.Contains(x.What, `routers = "any" finds no router: eth1`) })
			if got != c.want {
				t.Errorf("reported: %t", got)
			}
		})
	}
}

// A hardware address that is the host's own names no router.
func TestOwnHardwareAddressIsReported(t *testing.T) {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	other := s.Uplinks[1]
	other.Name, other.ID = "other", 9
	s.Uplinks = append(s.Uplinks, other)
	l := f.Links["eth1"]
	l.MAC = "\x02\x00\x00\x00\x00\x01"
	f.Links["eth1"] = l
	for mac, want := range map[string]bool{"02:00:00:00:00:01": true, "02:00:00:00:00:02": false} {
		s.Uplinks[1].MACs = []string{mac}
		got := slices.ContainsFunc(inspect.Inspect(s, f).Findings(), func(x inspect.Finding) bool {
			return strings.Contains(x.What, "is the hardware address of eth1 itself")
		})
		if got != want {
			t.Errorf("%s: reported: %t", mac, got)
		}
	}
}

// A router that is found, or no longer, changes the chains of its link; the marks of the link's uplinks mean what they did.
func TestFoundRoutersDisruptNoConnection(t *testing.T) {
	for _, backend := range []marks.Backend{marks.Legacy, marks.Nftables} {
		s, f := uplinkstest.Settings(), uplinkstest.Facts()
		for family := range f.Firewalls {
			f.Firewalls[family] = uplinks.FirewallKey{Family: family, Backend: backend}
		}
		s.Uplinks[1].AnyRouter = true
		without := uplinks.Desired(s, f, nil)
		f.FoundRouters = []uplinks.FoundRouter{{Uplink: s.Uplinks[1].Name, MAC: "02:00:00:00:0d:01", ID: 31}}
		with := uplinks.Desired(s, f, nil)
		for _, states := range [][2]uplinks.State{{with, without}, {without, with}, {with, with}} {
			if found := inspect.Disruptions(states[0], states[1]); len(found) > 0 {
				t.Errorf("%s: %v", backend, found)
			}
		}
		s.Uplinks[0].ID, s.Uplinks[1].ID = 2, 1
		swapped := inspect.Disruptions(uplinks.Desired(s, f, nil), with)
		if len(swapped) != 2 || !strings.Contains(swapped[0].What, "came in by eth0 have the mark 0x100, which becomes that of eth1") || !strings.Contains(swapped[1].What, "came in by eth1 have the mark 0x200, which becomes that of eth0") {
			t.Errorf("%s: with exchanged ids: %v", backend, swapped)
		}
	}
}
