package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/egress"
)

func TestFullNeighbourTablesAreFound(t *testing.T) {
	entries := func(n, permanent int) (all []egress.Neighbour) {
		a := netip.MustParseAddr("2001:db8::1")
		for i := range n + permanent {
			state := egress.Stale
			if i >= n {
				state = egress.Permanent
			}
			all = append(all, egress.Neighbour{Addr: a, State: state})
			a = a.Next()
		}
		return all
	}
	for _, c := range []struct {
		n, permanent int
		want         Severity // empty: no finding
	}{{79, 100, ""}, {80, 0, Warning}, {94, 0, Warning}, {95, 0, Error}} {
		s := Snapshot{Egress: egress.State{Neighbours: entries(c.n, c.permanent)}, NeighbourLimits: map[uplinks.Family]int{uplinks.IPv4: 100, uplinks.IPv6: 100}}
		found := s.checkNeighbourTable()
		switch {
		case c.want == "" && len(found) != 0, c.want != "" && (len(found) != 1 || found[0].Severity != c.want || found[0].ID != "neighbour-table-full"):
			t.Errorf("%d entries, %d permanent: %+v, want %q", c.n, c.permanent, found, c.want)
		case c.want != "" && (!strings.Contains(found[0].Remedy, "net.ipv6.neigh.default.gc_thresh3=400") || !strings.Contains(found[0].Evidence[0], "gc_thresh3 = 100")):
			t.Errorf("%+v", found)
		}
	}
	if found := (Snapshot{Egress: egress.State{Neighbours: entries(9, 0)}}).checkNeighbourTable(); found != nil {
		t.Errorf("without a limit: %+v", found)
	}
}
