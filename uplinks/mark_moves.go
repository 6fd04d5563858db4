package uplinks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"replypath/marks"
)

// MoveMark gives the open connections of an uplink that has another id its mark. It comes when the chains set the new mark, and before the
// rules of the old one go: until then packets with either leave by the uplink. Then it deletes the first of those rules, by which it is
// known that the connections have the old mark.
type MoveMark struct {
	chainsStep
	Family   Family
	From, To marks.Mark
	Mask     marks.Mask
	Rules    []Rule // that lead requests with the old mark past the look-ups by mark: none has it any more
}

// String returns a comment, as conntrack(8) selects connections by the mark that it sets, and the commands of ip-rule(8).
func (s MoveMark) String() string {
	text := fmt.Sprintf("# open %s connections with the mark %s/%s get %s", s.Family, s.From, s.Mask, s.To)
	for _, r := range s.Rules {
		text += "\n" + DelRule{r}.String()
	}
	return text
}

// Removes returns true.
func (MoveMark) Removes() bool { return true }

// WriteTo changes the marks.
func (s MoveMark) WriteTo(w Writer) { w.MoveMark(s) }

// looksUpMark reports whether the rule leads what has the mark of an uplink to its table.
func (r *Rule) looksUpMark() bool {
	return r.Action == Lookup && r.Mark != 0 && !r.Not && r.Table != MainTable && !r.isOutbound()
}

// passesMark reports whether the rule leads what has come in with the mark of its uplink past the look-ups by mark.
func (r *Rule) passesMark() bool {
	return r.Action == Goto && r.IIF != "" && r.Mark != 0 && !r.Not && !r.isOutbound()
}

// markMoves returns the steps for the marks whose rules are deleted, while their uplink has another mark, and the other rules to be deleted.
func markMoves(want, have State, del []Rule) (moves Plan, rest []Rule) {
	gone := map[pathMark][]Rule{}
	for _, r := range del {
		if r.passesMark() {
			gone[r.pathMark()] = append(gone[r.pathMark()], r)
		}
	}
	if len(gone) == 0 {
		return nil, del
	}
	wanted, used := soleMarks(want.markEnds()), want.lookedUp()
	var all []MoveMark
	for end, had := range have.marksByEnd() {
		to, goesOn := wanted[end]
		for _, from := range had {
			if goesOn && gone[from] != nil && !used[from] && to.mask == from.mask {
				all = append(all, MoveMark{Family: end.family, From: from.mark, To: to.mark, Mask: to.mask, Rules: gone[from]})
			}
		}
	}
	slices.SortFunc(all, func(a, b MoveMark) int { return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.From, b.From)) })
	for _, m := range all {
		moves = append(moves, m)
	}
	return moves, slices.DeleteFunc(del, func(r Rule) bool {
		return r.passesMark() && slices.ContainsFunc(all, func(m MoveMark) bool { return r.pathMark() == pathMark{m.Family, m.From, m.Mask} })
	})
}

// restoringBoth returns the state with what marks.NFTTable needs to restore the old marks of the moves, too: a map leads from the mark of a
// connection to the chain that gives it to a packet with bits of other programs. Without its element such a packet gets no mark, and one of a
// socket keeps the mark of the uplink by which the socket's connection came in, whatever that means by now (net.ipv4.tcp_fwmark_accept).
func (s State) restoringBoth(have State, moves Plan) State {
	chains := maps.Clone(s.Chains)
	for key, restore := range have.Chains {
		want, exists := s.Chains[key]
		if key.Name != marks.RestoreMap || !exists {
			continue
		}
		want.Rules = slices.Clone(want.Rules)
		for _, old := range restore.Rules {
			if slices.ContainsFunc(moves, func(m Step) bool {
				return m.(MoveMark).Family == key.Firewall.Family && m.(MoveMark).From == old.Ctmark.Mark
			}) {
				want.Rules = append(want.Rules, old)
				chain := ChainKey{key.Firewall, old.Action.Chain}
				chains[chain] = have.Chains[chain]
			}
		}
		slices.SortFunc(want.Rules, marks.CompareElements)
		chains[key] = want
	}
	s.Chains = chains
	return s
}

// chainAndMarkSteps returns the steps of chainSteps, and between those that load chains the marks that connections get. The last loads
// remove what the old marks need, and are not executed when one of them could not be replaced.
func chainAndMarkSteps(want, have State, moves Plan) (write, erase Plan) {
	if len(moves) == 0 {
		return chainSteps(want, have)
	}
	both := want.restoringBoth(have, moves)
	write, erase = chainSteps(both, have)
	last, _ := chainSteps(want, both)
	for i, step := range last {
		load := step.(LoadChains)
		load.Cleanup = true
		last[i] = load
	}
	return slices.Concat(write, moves, last), erase
}
