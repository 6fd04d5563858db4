package host_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// moveMask is the mask of an uplink's marks, with the bit of connections that began inside.
const moveMask = 0x3f00

// pathMove returns the move of an uplink's connections in a family.
func pathMove(id int, family uplinks.Family) uplinks.Move {
	own, fixed := netip.MustParseAddr("198.51.100.2"), netip.MustParsePrefix("198.18.9.0/24")
	if family == uplinks.IPv6 {
		own, fixed = netip.MustParseAddr("2001:db8:a::2"), netip.MustParsePrefix("2001:db8:c:9::/64")
	}
	return uplinks.Move{Path: uplinks.PathKey{Uplink: fmt.Sprint("isp", id), Family: family}, Family: family,
		Mark: marks.Mark(0x2000 | id<<8), Mask: moveMask, Own: []netip.Addr{own}, Fixed: []netip.Prefix{fixed}}
}

// lostMove returns the move of those connections of an uplink that have the address of the host's own, or that of which sources were
// translated before it.
func lostMove(id int, family uplinks.Family) uplinks.Move {
	m := pathMove(id, family)
	m.LostOnly, m.Own = true, nil
	for _, a := range []string{"198.51.100.2", "192.0.2.3", "2001:db8:a::2", "2001:db8:b::3"} {
		if a := netip.MustParseAddr(a); uplinks.FamilyOf(a) == family {
			m.Lost = append(m.Lost, a)
		}
	}
	return m
}

// trackedLines adds connections of uplinks 1 to 3 in both families, for conntrack -R.
func trackedLines() string {
	var lines strings.Builder
	for _, inside := range []struct{ from, fixed, own, uplink, before, server string }{
		{"198.18.0.7", "198.18.9.7", "198.51.100.2", "192.0.2.2", "192.0.2.3", "203.0.113.10"},
		{"2001:db8:c::7", "2001:db8:c:9::7", "2001:db8:a::2", "2001:db8:b::2", "2001:db8:b::3", "2001:db8:d::10"},
	} {
		for id := 1; id <= 3; id++ {
			add := func(port int, from string, mark int, more string) {
				fmt.Fprintf(&lines, "-A -p udp -s %s -d %s --sport %d --dport 53 -t 3000 -m %#x%s\n", from, inside.server, port+id, mark|id<<8, more)
			}
			translated := " -n " + inside.uplink
			add(1000, inside.from, 0x80002000, " -n "+inside.before)
			add(2000, inside.from, 0x2000, translated+" -w 7")
			add(3000, inside.from, 0x80002000, "")
			add(4000, inside.fixed, 0x2000, "")
			add(5000, inside.own, 0x2000, "")
			add(6000, inside.from, 0, translated) // began outside
		}
	}
	return lines.String()
}

// connectionMarks returns the marks of the connections from inside by their source.
func (r *kernelWorld) connectionMarks(t *testing.T) map[netip.AddrPort]uint32 {
	t.Helper()
	all := map[netip.AddrPort]uint32{}
	r.gateway.Do(func() {
		err := rtnl.EachMarked(rtnl.MarkFilter{}, func(c rtnl.TrackedConnection) {
			all[c.Original.From] = c.Mark
		})
		if err != nil {
			t.Error(err)
		}
	})
	return all
}

// Of the connections that began inside and have the mark of an uplink, those with a translated source are ended, others lose their
// mark, and those from addresses of the host or of a network that one provider routes stay, also where the kernel deletes by itself.
// Connections of other uplinks, families and directions stay. Of an uplink that has lost an address those with it are ended, nothing else.
func TestMovesConcernTheConnectionsOfTheirUplinksAlone(t *testing.T) {
	t.Parallel()
	for name, moves := range map[string][]uplinks.Move{
		"one family":               {pathMove(1, uplinks.IPv4)},
		"both families":            {pathMove(1, uplinks.IPv4), pathMove(1, uplinks.IPv6)},
		"two uplinks":              {pathMove(1, uplinks.IPv6), pathMove(3, uplinks.IPv6)},
		"two uplinks and families": {pathMove(2, uplinks.IPv4), pathMove(3, uplinks.IPv6), pathMove(3, uplinks.IPv4)},
		"lost address":             {lostMove(2, uplinks.IPv6)},
		"lost address, and down":   {lostMove(2, uplinks.IPv6), pathMove(2, uplinks.IPv6), pathMove(1, uplinks.IPv4)},
		"down, and lost address":   {pathMove(3, uplinks.IPv4), lostMove(2, uplinks.IPv4), lostMove(3, uplinks.IPv4)},
	} {
		for how, atOnce := range map[string]bool{"listed": false, "at once": true} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				r := newKernelWorld(t, marks.Nftables)
				path := filepath.Join(t.TempDir(), "connections")
				if err := os.WriteFile(path, []byte(trackedLines()), 0o600); err != nil {
					t.Fatal(err)
				}
				r.gateway.Run("conntrack", "-R", path)
				before := r.connectionMarks(t)
				if len(before) != 36 {
					t.Fatalf("%d connections are tracked", len(before))
				}
				r.gateway.Do(func() { moveAll(t, r.host, moves, atOnce) })
				if have, want := r.connectionMarks(t), afterMoves(before, moves); !maps.Equal(have, want) {
					t.Errorf("the connections have the marks %x, want %x", have, want)
				}
			})
		}
	}
}

// moveAll carries out moves. The kernel deletes at once the 2 connections of each path that have a translated source, unless its address
// alone is lost.
func moveAll(t *testing.T, h *host.Host, moves []uplinks.Move, atOnce bool) {
	began, deleted := time.Now(), make([]host.Moved, len(moves))
	if atOnce {
		var err error
		if deleted, err = h.DeleteTranslated(moves...); err != nil || len(deleted) != len(moves) {
			t.Fatalf("deleted %+v: %v", deleted, err)
		}
		for i, d := range deleted {
			if want := map[bool]int{false: 2, true: 0}[moves[i].LostOnly]; d.Connections != want || want > 0 && d.Written.Before(began) {
				t.Errorf("move %d deleted %+v, want %d", i, d, want)
			}
		}
	}
	moved, err := h.MoveConnections(moves...)
	if err != nil || len(moved) != len(moves) {
		t.Fatalf("moved %+v: %v", moved, err)
	}
	byPath := map[uplinks.PathKey]int{}
	for i, m := range moved {
		byPath[moves[i].Path] += deleted[i].Connections + m.Connections
		if m.Sockets != 0 || m.Connections > 0 && m.Written.Before(began) {
			t.Errorf("move %d moved %+v", i, m)
		}
	}
	for path, n := range byPath {
		all := slices.ContainsFunc(moves, func(m uplinks.Move) bool { return m.Path == path && !m.LostOnly })
		ownLost := slices.ContainsFunc(moves, func(m uplinks.Move) bool { return m.Path == path && m.LostOnly })
		if want := map[[2]bool]int{{true, false}: 3, {false, true}: 2, {true, true}: 4}[[2]bool{all, ownLost}]; n != want {
			t.Errorf("%v: %d connections are moved, want %d", path, n, want)
		}
	}
}

// afterMoves returns the marks of the connections after the moves.
func afterMoves(before map[netip.AddrPort]uint32, moves []uplinks.Move) map[netip.AddrPort]uint32 {
	after := maps.Clone(before)
	for from, mark := range before {
		for _, m := range moves {
			if m.Family != uplinks.FamilyOf(from.Addr()) || uint32(m.Mark) != mark&moveMask {
				continue
			}
			switch kind := from.Port() / 1000; {
			case m.LostOnly && (kind == 1 || kind == 5), !m.LostOnly && kind <= 2:
				delete(after, from)
			case !m.LostOnly && kind == 3:
				after[from] = mark &^ moveMask
			}
		}
	}
	return after
}
