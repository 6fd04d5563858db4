package uplinks_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// linearLookups returns the look-ups of a packet, in order, however the rules are laid out. A packet with an uplink's mark
// that came in by the uplink is not led back out by it. A packet without a mark that is not from an uplink's address is
// looked up nowhere in the block: foreign rules and main decide, as without replypath.
func linearLookups(s uplinks.Settings, facts uplinks.Facts, f packet) []lookup {
	lookupIn := func(u uplinks.Uplink) lookup {
		return lookup{s.Table(u), uplinks.NoSuppress, uplinks.NoSuppress}
	}
	specific := lookup{uplinks.MainTable, map[uplinks.Family]int32{uplinks.IPv4: 7, uplinks.IPv6: 6}[f.family], int64(s.Group)}
	var lookups []lookup
	if f.mark&uint32(s.Mask) != 0 {
		lookups = append(lookups, specific)
	}
	for _, u := range s.Uplinks {
		mark := marks.Mark(f.mark & uint32(s.Mask))
		if u.Gateway(f.family) != (uplinks.Gateway{}) && mark == s.Mark(u) && f.in != u.Link {
			lookups = append(lookups, lookupIn(u))
		}
	}
	if f.in != "lo" {
		return lookups
	}
	for _, u := range s.Uplinks {
		if u.Gateway(f.family) == (uplinks.Gateway{}) {
			continue
		}
		for _, a := range facts.Links[u.Link].Addrs {
			if a.Prefix.Addr() == f.from {
				lookups = append(lookups, specific, lookupIn(u))
			}
		}
	}
	return lookups
}

func desiredRPDB(s uplinks.Settings, f uplinks.Facts) (db rpdb) {
	for _, step := range uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()) {
		if add, ok := step.(uplinks.AddRule); ok {
			db.add(add.Rule)
		}
	}
	return db
}

func TestTrieIsEquivalentToLinearRules(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{1, 2, 3, 15, 16, 17, 31, 100, 255} {
		s, facts := uplinkstest.ManyUplinks(n, r)
		for i := range s.Uplinks {
			switch r.IntN(8) {
			case 0:
				s.Uplinks[i].Gateway4 = uplinks.Gateway{}
			case 1:
				s.Uplinks[i].Gateway6 = uplinks.Gateway{}
			}
		}
		s.Uplinks[0].Gateway4, s.Uplinks[0].Gateway6 = uplinks.Gateway{Auto: true}, uplinks.Gateway{Auto: true}
		if n < 32 && slices.MaxFunc(s.Uplinks, func(a, b uplinks.Uplink) int { return int(a.ID) - int(b.ID) }).ID < 32 {
			s.Mask = marks.DefaultMask
		}
		checkEquivalence(t, s, facts, r.Uint32)
	}
}

func TestTrieWithDefaultMaskIsEquivalentToLinearRules(t *testing.T) {
	for _, n := range []int{1, 15, 16, 31} {
		s, facts := uplinkstest.ManyUplinks(n, nil)
		s.Mask = marks.DefaultMask
		checkEquivalence(t, s, facts, newRand(t).Uint32)
	}
}

func TestTrieWithWideMaskIsEquivalentToLinearRules(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(40, newRand(t))
	s.Mask = 0x3ff0
	checkEquivalence(t, s, facts, newRand(t).Uint32)
}

func checkEquivalence(t *testing.T, s uplinks.Settings, facts uplinks.Facts, random func() uint32) {
	t.Helper()
	db := desiredRPDB(s, facts)
	shift := uint32(s.Mask) & -uint32(s.Mask)
	for mark := range uint32(s.Mask)/shift + 1 {
		fwmark := mark*shift | random()&^uint32(s.Mask)
		for _, f := range packets(s, facts, fwmark, random) {
			if got, want := db.lookups(f), linearLookups(s, facts, f); !slices.Equal(got, want) {
				t.Fatalf("%d uplinks, mask %s: the look-ups of %+v are\n%v, want\n%v", len(s.Uplinks), s.Mask, f, got, want)
			}
		}
	}
}

// packets returns packets with the mark: sent by the host, and from an uplink, from the mark's own uplink and from inside,
// with every kind of source address.
func packets(s uplinks.Settings, facts uplinks.Facts, mark uint32, random func() uint32) (all []packet) {
	any := s.Uplinks[int(random())%len(s.Uplinks)]
	links := []string{"lo", "lan0", any.Link}
	for _, u := range s.Uplinks {
		if uint32(s.Mark(u)) == mark&uint32(s.Mask) {
			links = append(links, u.Link)
		}
	}
	for _, family := range uplinks.Families {
		from := []netip.Addr{{}, netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8:ffff::9")}
		for _, a := range facts.Links[any.Link].Addrs {
			from = append(from, a.Prefix.Addr())
		}
		for _, a := range from {
			if a.IsValid() && uplinks.FamilyOf(a) != family {
				continue
			}
			for _, in := range links {
				all = append(all, packet{family: family, mark: mark, in: in, from: a})
			}
		}
	}
	return all
}

func TestSourceRuleOfEveryAddress(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(255, newRand(t))
	db := desiredRPDB(s, facts)
	for _, u := range s.Uplinks {
		for _, a := range facts.Links[u.Link].Addrs {
			f := packet{family: uplinks.FamilyOf(a.Prefix.Addr()), in: "lo", from: a.Prefix.Addr()}
			if got := db.lookups(f); len(got) != 2 || got[1].table != s.Table(u) {
				t.Fatalf("the look-ups of %s are %v, want table %s", f.from, got, s.Table(u))
			}
		}
	}
}

func TestRulesStayInBlockWithoutDuplicates(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(255, nil)
	db := desiredRPDB(s, facts)
	known := map[uplinks.Rule]bool{}
	for _, r := range db {
		if r.Priority < s.Priority || r.Priority >= s.Priority+uplinks.BlockSize {
			t.Errorf("outside the block: %s", r)
		}
		key := r
		key.Not, key.Goto = false, 0 // not compared by the kernel
		if known[key] {
			t.Errorf("a duplicate for the kernel: %s %s", r.Family, r)
		}
		known[key] = true
		if r.Action == uplinks.Goto && !slices.ContainsFunc(db, func(to uplinks.Rule) bool { return to.Family == r.Family && to.Priority == r.Goto }) {
			t.Errorf("a goto without a target: %s", r)
		}
	}
}

func TestRemovingAnUplinkKeepsOtherRulesAndRoutes(t *testing.T) {
	r := newRand(t)
	all, facts := uplinkstest.ManyUplinks(255, nil)
	for range 50 {
		with := all
		with.Uplinks = nil
		for _, u := range all.Uplinks {
			if r.IntN(3) == 0 {
				with.Uplinks = append(with.Uplinks, u)
			}
		}
		without := with
		at := r.IntN(len(with.Uplinks))
		removed := with.Uplinks[at]
		without.Uplinks = slices.Delete(slices.Clone(with.Uplinks), at, at+1)
		before, after := uplinks.Desired(with, facts, nil), uplinks.Desired(without, facts, nil)
		for rule := range after.Rules {
			if !before.Rules[rule] {
				t.Fatalf("without %s there is a new rule: %s", removed.Name, rule)
			}
		}
		for key, route := range after.Routes {
			if before.Routes[key] != route {
				t.Fatalf("without %s a route changes: %v", removed.Name, key)
			}
		}
	}
}

func TestMarkLookupVisitsFewRules(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(255, nil)
	db := desiredRPDB(s, facts)
	for _, u := range s.Uplinks {
		visited := 0
		for at := 0; at < len(db); at++ {
			if db[at].Family != uplinks.IPv4 {
				continue
			}
			visited++
			if db[at].Table == s.Table(u) {
				break
			}
			if f := (packet{family: uplinks.IPv4, mark: uint32(s.Mark(u)), in: "lan0"}); db[at].Action == uplinks.Goto && matches(&db[at], f) != db[at].Not {
				at = slices.IndexFunc(db, func(r uplinks.Rule) bool { return r.Family == uplinks.IPv4 && r.Priority == db[at].Goto }) - 1
			}
		}
		if visited > 36 {
			t.Errorf("the look-up of mark %s evaluates %d rules", s.Mark(u), visited)
		}
	}
}

func TestForeignActionsAreNamedAsInIPRule(t *testing.T) {
	for action, want := range map[uplinks.Action]string{6: "blackhole", 7: "unreachable", 8: "prohibit", 99: "type 99"} {
		if got := (uplinks.Rule{Family: uplinks.IPv4, Action: action, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}).String(); !strings.Contains(got, "from all "+want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
