package inspect_test

import (
	"slices"
	"strings"
	"testing"

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
