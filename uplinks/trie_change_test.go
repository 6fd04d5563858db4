package uplinks_test

import (
	"maps"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// binaryTrie returns the rules with the trie of earlier versions: a goto for each bit of a bucket's number, and at the start of
// a bucket a target that matches every packet.
func binaryTrie(s uplinks.Settings, rules map[uplinks.Rule]bool) map[uplinks.Rule]bool {
	const levels, firstBucket, stride = 6, 106, 14
	old := maps.Clone(rules)
	isStart := func(r uplinks.Rule) bool { return r.Action == uplinks.Nop && r.Mask != 0 }
	maps.DeleteFunc(old, func(r uplinks.Rule, _ bool) bool {
		return isStart(r) || r.Action == uplinks.Goto && r.Mark != 0 && r.IIF == ""
	})
	for start := range rules {
		if !isStart(start) {
			continue
		}
		start.Mask = 0
		old[start] = true
		bucket := int(start.Priority-s.Priority-firstBucket) / stride
		for level := levels; level > 0; level-- {
			half, first := 1<<(level-1), bucket>>level<<level
			bit := s.Mask.Mark(marks.ID(half * 4))
			at := func(level, bucket int) uplinks.Priority {
				return s.Priority + uplinks.Priority(firstBucket+bucket*stride-level)
			}
			skip := start
			skip.Priority, skip.Action, skip.Mark, skip.Mask, skip.Goto = at(level, first), uplinks.Goto, bit, marks.Mask(bit), at(level-1, first+half)
			old[skip] = true
		}
	}
	return old
}

// The rules of an earlier version are replaced, and written again when it is installed again, without a step that misroutes any
// mark.
func TestNoStepFromOrToTheBinaryTrieMisroutes(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(255, newRand(t))
	r := newRand(t)
	s.Uplinks = slices.DeleteFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.ID > 8 && r.IntN(3) == 0 })
	now := uplinks.Desired(s, facts, nil)
	old := uplinks.NewState()
	maps.Copy(old.Rules, binaryTrie(s, now.Rules))
	for k, v := range map[string][2]uplinks.State{"upgrade": {old, now}, "downgrade": {now, old}} {
		from, to := uplinks.NewState(), uplinks.NewState()
		from.Rules, to.Rules = v[0].Rules, v[1].Rules
		t.Run(k, func(t *testing.T) { checkMarksAtEachStep(t, s, from, to) })
	}
}

// checkMarksAtEachStep checks that a packet with the mark of an uplink is looked up in the uplink's table after every step.
func checkMarksAtEachStep(t *testing.T, s uplinks.Settings, from, to uplinks.State) {
	t.Helper()
	k := newKernelModel(nil)
	for _, step := range uplinks.Diff(from, uplinks.NewState()) {
		k.apply(step)
	}
	plan := uplinks.Diff(to, from)
	if len(plan) < 100 {
		t.Fatalf("the plan has %d steps", len(plan))
	}
	for i, step := range plan {
		k.apply(step)
		for _, u := range s.Uplinks {
			if i%16 != 0 && u.ID%16 != marks.ID(i%16) {
				continue
			}
			for _, family := range uplinks.Families {
				got := k.rules.lookups(packet{family: family, mark: uint32(s.Mark(u)), in: "lan0"})
				if len(got) < 2 || got[1].table != s.Table(u) {
					t.Fatalf("after step %d, %s\nthe look-ups of mark %s in %s are %v", i, step, s.Mark(u), family, got)
				}
			}
		}
	}
}
