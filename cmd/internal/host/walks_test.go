package host

import (
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// Listing a connection takes as long as walking over many empty buckets.
func TestMovesTakeTheWalksThatListLeast(t *testing.T) {
	t.Parallel()
	var moves []uplinks.Move
	for id := range 4 {
		for _, family := range uplinks.Families {
			moves = append(moves, uplinks.Move{Mark: marks.Mark(0x2100 + id<<8), Mask: 0x3f00, Family: family})
		}
	}
	otherMask := append(moves[:3:3], uplinks.Move{Mark: 0x210000, Mask: 0x3f0000, Family: uplinks.IPv4}) // after a reload
	for _, c := range []struct {
		moves                      []uplinks.Move
		connections, buckets, want int
	}{
		{moves[:1], 0, 262144, 1}, {moves[:2], 1_000_000, 262144, 1}, // of one uplink
		{moves, 6000, 262144, 1}, {moves, 6200, 262144, 4}, {moves[:4], 2000, 262144, 1}, {moves[:4], 2100, 262144, 2},
		{moves, 1000, 16384, 4}, {moves, 300, 16384, 1}, {moves, 0, 0, 4}, {otherMask, 0, 262144, 2}, {otherMask, 10_000, 262144, 3},
	} {
		all := walks(c.moves, c.connections, c.buckets)
		seen := map[int]bool{}
		for _, k := range all {
			for of, group := range k.moves {
				for _, m := range group {
					seen[m.index] = true
					path := func(m uplinks.Move) markedFamily { return markedFamily{m.Family, m.Mark} }
					if path(m.Move) != path(c.moves[m.index]) || of != path(m.Move) || m.Mask != k.mask {
						t.Errorf("%+v: move %d is %+v", c, m.index, m)
					}
				}
			}
		}
		if len(all) != c.want || len(seen) != len(c.moves) {
			t.Errorf("%+v: %d walks with %d moves", c, len(all), len(seen))
		}
	}
}

func TestTheFilterOfMovesSelectsAllOfThem(t *testing.T) {
	t.Parallel()
	filter := func(moves ...uplinks.Move) rtnl.MarkFilter { return walks(moves, 0, 1)[0].filter }
	for first := range marks.Mark(63) {
		one := uplinks.Move{Mark: first << 8, Mask: 0x3f00, Family: uplinks.IPv4}
		for second := range marks.Mark(63) {
			moves := []uplinks.Move{one, {Mark: second << 8, Mask: 0x3f00, Family: uplinks.IPv4}, {Mark: 0x3f00, Mask: 0x3f00, Family: uplinks.IPv6}}
			f := filter(moves...)
			for _, m := range moves {
				if m.Mark&marks.Mark(f.Mask) != f.Mark || f.Family != 0 {
					t.Fatalf("%+v of %#x and %#x does not select %#x", f, first, second, m.Mark)
				}
			}
		}
		if f := filter(one); f.Mark != one.Mark || f.Mask != one.Mask || f.Family != uplinks.IPv4 {
			t.Fatalf("%+v of one move", f)
		}
	}
}

// A connection with a lost address is ended whichever of the moves of its path comes first, and whatever else is moved by the same walk.
func TestConnectionsOfSeveralMovesAreTreatedByThatWhichDoesMost(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	lost, own, inside, fixed := addr("2001:db8:a::2"), addr("2001:db8:d::2"), addr("2001:db8:f::2"), addr("2001:db8:f:1::9")
	all := uplinks.Move{Mark: 0x2100, Mask: 0x3f00, Family: uplinks.IPv6, Own: []netip.Addr{own}}
	all.Fixed = []netip.Prefix{netip.MustParsePrefix("2001:db8:f:1::/64")}
	lostOnly := all
	lostOnly.LostOnly, lostOnly.Lost = true, []netip.Addr{lost}
	both := map[string][]uplinks.Move{"all": {all}, "lost": {lostOnly}, "both": {all, lostOnly}, "both, the other way": {lostOnly, all}}
	connection := func(from, as netip.Addr) rtnl.Connection {
		to, port := netip.AddrPortFrom(addr("2001:db8:c::10"), 53), uint16(1)
		c := rtnl.Connection{Mark: 0x80002100, Original: rtnl.Flow{From: netip.AddrPortFrom(from, port), To: to}}
		c.Reply = rtnl.Flow{From: to, To: netip.AddrPortFrom(as, port)}
		return c
	}
	for name, c := range map[string]struct {
		connection rtnl.Connection
		want       map[string]treatment
	}{
		"translated, lost": {connection(inside, lost), map[string]treatment{"all": deleteEntry, "lost": deleteEntry, "both": deleteEntry}},
		"translated":       {connection(inside, own), map[string]treatment{"all": deleteEntry, "lost": keep, "both": deleteEntry}},
		"own, lost":        {connection(lost, lost), map[string]treatment{"all": clearMark, "lost": endSocketThenDelete, "both": endSocketThenDelete}},
		"own":              {connection(own, own), map[string]treatment{"all": endSocket, "lost": keep, "both": endSocket}},
		"own, link-local":  {connection(addr("fe80::2"), addr("fe80::2")), map[string]treatment{"all": endSocketThenDelete, "lost": endSocketThenDelete, "both": endSocketThenDelete}},
		"untranslated":     {connection(inside, inside), map[string]treatment{"all": clearMark, "lost": keep, "both": clearMark}},
		"fixed":            {connection(fixed, fixed), map[string]treatment{"all": keep, "lost": keep, "both": keep}},
	} {
		c.want["both, the other way"] = c.want["both"]
		for which, moves := range both {
			others := []uplinks.Move{{Mark: 0x2200, Mask: 0x3f00, Family: uplinks.IPv6}, {Mark: 0x2100, Mask: 0x3f00, Family: uplinks.IPv4}}
			k := walks(append(others, moves...), 0, 1)[0]
			if i, how := k.of(c.connection); how != c.want[which] || how != keep && i < len(others) {
				t.Errorf("%s, %s: %d by move %d, want %d", name, which, how, i, c.want[which])
			}
		}
	}
}
