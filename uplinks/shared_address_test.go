package uplinks_test

import (
	"maps"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func TestSharedAddressBelongsToUsableUplinkThenSmallestID(t *testing.T) {
	for name, c := range map[string]struct {
		is    func(*uplinks.Link)
		owner uplinks.Table
	}{
		"both answer": {func(*uplinks.Link) {}, 1},
		"down":        {func(l *uplinks.Link) { l.Up, l.Carrier = false, false }, 2},
		"no carrier":  {func(l *uplinks.Link) { l.Carrier = false }, 2},
		"a duplicate": {func(l *uplinks.Link) {
			l.Addrs = slices.Clone(l.Addrs)
			for i := range l.Addrs {
				l.Addrs[i].Tentative = true
			}
		}, 2},
	} {
		s, facts := uplinkstest.ManyUplinks(2, nil)
		shared := facts.Links["eth1"].Addrs
		first, second := facts.Links["eth1"], facts.Links["eth2"]
		second.Addrs = shared
		facts.Links["eth2"] = second
		was := facts
		was.Links = maps.Clone(facts.Links)
		c.is(&first)
		facts.Links["eth1"] = first
		if moves := was.NeedsFullResync(facts.WithScopes(s.ScopesOf("eth1"))); moves != (c.owner != 1) {
			t.Errorf("%s: full resync %t", name, moves)
		}
		for _, a := range shared {
			f := packet{family: uplinks.FamilyOf(a.Prefix.Addr()), in: "lo", from: a.Prefix.Addr()}
			if got := desiredRPDB(s, facts).lookups(f); len(got) != 2 || got[1].table != s.TableBase+c.owner {
				t.Errorf("%s: the look-ups of %s are %v", name, f.from, got)
			}
		}
	}
}
