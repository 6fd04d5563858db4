package daemon

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// testMove returns a move of fibre's connections, which has done nothing yet.
func testMove(f uplinks.Family, lostOnly bool, why string, lost ...string) begunMove {
	m := uplinks.Move{Path: uplinks.PathKey{Uplink: "fibre", Family: f}, Link: "eth0", Family: f, Mark: 0x2100, Mask: 0x3f00, Why: why, LostOnly: lostOnly}
	for _, a := range lost {
		m.Lost = append(m.Lost, netip.MustParseAddr(a))
	}
	return begunMove{m, health.OutboundMove{Reason: why}}
}

// having returns the move when the host has these addresses.
func (m begunMove) having(own ...string) begunMove {
	for _, a := range own {
		m.Own = append(m.Own, netip.MustParseAddr(a))
	}
	return m
}

// permutations calls use with all orders of n indexes.
func permutations(n int, use func(order []int)) {
	var extend func(order []int)
	extend = func(order []int) {
		if len(order) == n {
			use(order)
		}
		for i := range n {
			if !slices.Contains(order, i) {
				extend(append(slices.Clone(order), i))
			}
		}
	}
	extend(nil)
}

// A move of all connections of a path replaces no move of those with a lost address, nor the other way: one is due only while the uplink is
// not in use. Nor does a move replace that of the other family, or of the marks before a reload.
func TestMovesOfOtherConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var moves []begunMove
	for _, f := range uplinks.Families {
		for _, lostOnly := range []bool{false, true} {
			m := testMove(f, lostOnly, fmt.Sprint(lostOnly), "2001:db8:a::2")
			reloaded := m
			reloaded.Mark, reloaded.Mask = 0x110000, 0x1f0000
			moves = append(moves, m)
			if lostOnly {
				moves = append(moves, reloaded)
			}
		}
	}
	permutations(len(moves), func(order []int) {
		for split := range len(order) + 1 { // what waits when the rest comes, once more with a part of what is there
			var waiting, newer []begunMove
			for at, i := range order {
				if at < split {
					waiting = append(waiting, moves[i])
				} else {
					newer = append(newer, moves[i])
				}
			}
			all := mergeMoves(waiting, slices.Concat(newer, waiting))
			if len(all) != len(moves) {
				t.Fatalf("of %v, split at %d, there are %+v", order, split, all)
			}
			for _, m := range moves {
				if !slices.ContainsFunc(all, func(a begunMove) bool { return reflect.DeepEqual(a, m) }) {
					t.Fatalf("%v, split at %d, lacks %+v: %+v", order, split, m, all)
				}
			}
		}
	})
}

// The newer of two moves of the same connections is carried out, for all addresses that either of them knows to be lost, but for those
// that the host has again.
func TestTheNewerOfTwoMovesKnowsWhatTheEarlierKnew(t *testing.T) {
	t.Parallel()
	for _, lostOnly := range []bool{false, true} {
		earlier := testMove(uplinks.IPv6, lostOnly, "earlier", "2001:db8:a::2", "2001:db8:b::2").having("2001:db8:c::2")
		earlier.done = health.OutboundMove{Connections: 3, Sockets: 1, Milliseconds: 7, Reason: "earlier"}
		earlier.AtInit = true
		newer := testMove(uplinks.IPv6, lostOnly, "newer", "2001:db8:c::2").having("2001:db8:b::2", "2001:db8:d::2")
		newer.done.Connections, newer.done.At = 2, time.Unix(1, 0)
		want := testMove(uplinks.IPv6, lostOnly, "newer", "2001:db8:c::2", "2001:db8:a::2").having("2001:db8:b::2", "2001:db8:d::2")
		want.done = health.OutboundMove{At: time.Unix(1, 0), Connections: 5, Sockets: 1, Reason: "newer"}
		waiting := []begunMove{testMove(uplinks.IPv4, lostOnly, "another"), earlier}
		after := mergeMoves(waiting, []begunMove{newer})
		if !reflect.DeepEqual(waiting[1], earlier) || len(newer.Lost) != 1 {
			t.Errorf("an argument is changed: %+v, %+v", waiting, newer)
		}
		if len(after) != 2 || !reflect.DeepEqual(after[1], want) || !reflect.DeepEqual(after[0], waiting[0]) {
			t.Errorf("%+v, want %+v", after, want)
		}
	}
}
