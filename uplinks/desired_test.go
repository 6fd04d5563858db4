package uplinks_test

import (
	"reflect"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func TestRepliesStayWithinTheirBlock(t *testing.T) {
	for _, n := range []int{1, 40, 255} {
		s, facts := uplinkstest.ManyUplinks(n, newRand(t))
		block := s.Blocks()[0]
		want := uplinks.Desired(s, facts, nil)
		for r := range want.Rules {
			if r.Priority < block.FirstPriority || r.Priority > block.LastPriority {
				t.Errorf("a rule outside of the block: %s", r)
			}
			if r.Action == uplinks.Lookup && r.Table != uplinks.MainTable && (r.Table < block.FirstTable || r.Table > block.LastTable) {
				t.Errorf("a rule for a table outside of the block: %s", r)
			}
		}
		for k := range want.Routes {
			if k.Table < block.FirstTable || k.Table > block.LastTable {
				t.Errorf("a route in a table outside of the block: %+v", k)
			}
		}
		for k := range want.Chains {
			if !block.OwnsChain(k.Name) {
				t.Errorf("a chain outside of the block: %s", k.Name)
			}
		}
		if len(want.Rules) == 0 || len(want.Routes) == 0 || len(want.Chains) == 0 {
			t.Errorf("%d uplinks: nothing is desired", n)
		}
	}
}

func TestRepliesDoNotDependOnVerdicts(t *testing.T) {
	s, facts := uplinkstest.Settings(), uplinkstest.Facts()
	down := uplinks.Verdicts{}
	for _, u := range s.Uplinks {
		for _, family := range uplinks.Families {
			down[uplinks.PathKey{Uplink: u.Name, Family: family}] = uplinks.VerdictDown
		}
	}
	if !reflect.DeepEqual(uplinks.Desired(s, facts, nil), uplinks.Desired(s, facts, down)) {
		t.Error("the verdicts change the objects of replies")
	}
}
