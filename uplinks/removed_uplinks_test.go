package uplinks_test

import (
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// Connections that began inside are moved when no uplink has their mark any more, or another uplink by another link: then those alone that
// have an address of the former one.
func TestConnectionsOfRemovedUplinksAreMoved(t *testing.T) {
	for name, c := range map[string]struct {
		change             func(s *uplinks.Settings)
		moved, lost, never bool
	}{
		"nothing":                                {change: func(*uplinks.Settings) {}, never: true},
		"another name":                           {change: func(s *uplinks.Settings) { s.Uplinks[1].Name = "cable" }, never: true},
		"another mask":                           {change: func(s *uplinks.Settings) { s.Mask = 0x1f0000 }, never: true},
		"removed":                                {change: func(s *uplinks.Settings) { s.Uplinks = s.Uplinks[:1] }, moved: true},
		"removed, no policies":                   {change: func(s *uplinks.Settings) { s.Uplinks, s.Outbound = s.Uplinks[:1], uplinks.Outbound{} }, moved: true},
		"another id":                             {change: func(s *uplinks.Settings) { s.Uplinks[1].ID = 9 }, moved: true},
		"another link":                           {change: func(s *uplinks.Settings) { s.Uplinks[1].Link = "eth7" }, never: true}, // of a pattern
		"another uplink":                         {change: func(s *uplinks.Settings) { s.Uplinks[1].Name, s.Uplinks[1].Link = "cable", "eth7" }, moved: true, lost: true},
		"another uplink with the same addresses": {change: func(s *uplinks.Settings) { s.Uplinks[1].Name, s.Uplinks[1].Link = "cable", "copy" }, never: true},
	} {
		s, f := outboundSettings(), uplinkstest.Facts()
		f.Links["copy"] = f.Links[s.Uplinks[1].Link]
		var tracker uplinks.OutboundTracker
		tracker.Update(s, f, nil)
		mark := s.Mark(s.Uplinks[1])
		s.Uplinks = slices.Clone(s.Uplinks)
		c.change(&s)
		all := slices.DeleteFunc(tracker.Update(s, f, nil), func(m uplinks.Move) bool { return !m.Removed })
		if c.never != (len(all) == 0) {
			t.Errorf("%s: %d moves", name, len(all))
		}
		for _, m := range all {
			if m.Mark != mark|0x2000 || m.Mask != 0x3f00 || m.LostOnly != c.lost || len(m.Lost) == 0 {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if c.moved && len(all) != 2 {
			t.Errorf("%s: %d moves, want one of each family", name, len(all))
		}
	}
}
