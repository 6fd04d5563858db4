package uplinks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/marks"
)

// Disruptions tells what a change costs connections that are open. They keep the mark that they got, whatever it comes to
// mean.
func Disruptions(want, have State) []Finding {
	linkAfter, linkBefore := ingressByMark(want), ingressByMark(have)
	var all []Finding
	for _, mark := range slices.Sorted(maps.Keys(linkBefore)) {
		link, inUse := linkAfter[mark]
		if inUse && link != linkBefore[mark] {
			all = append(all, Finding{
				What:   fmt.Sprintf("open connections that came in by %s wear the mark %s, which is now that of %s: their replies will leave by %s", linkBefore[mark], mark, link, link),
				Remedy: "give the uplink an id that none had before",
			})
		}
	}
	if before, after := markMask(have), markMask(want); before != 0 && after != 0 && before != after {
		all = append(all, Finding{
			What:   fmt.Sprintf("the mask changes from %s to %s: open connections have no mark under the new one until their client speaks again", before, after),
			Remedy: "change it when that does not matter",
		})
	}
	if before, after := suppressedGroup(have), suppressedGroup(want); before != after && before != NoSuppress && after != NoSuppress {
		all = append(all, Finding{
			What:   fmt.Sprintf("the link group changes from %d to %d: while links move from one to the other, replies to networks that main knows by an uplink may leave by that one", before, after),
			Remedy: "change it when that does not matter",
		})
	}
	return all
}

// suppressedGroup is the one that the first rule of the block passes over. It is one rule that knows one group, so nothing can
// make the change at once.
func suppressedGroup(s State) int64 {
	for r := range s.Rules {
		if r.SuppressGroup != NoSuppress {
			return r.SuppressGroup
		}
	}
	return NoSuppress
}

// ingressByMark are the links by the marks that their connections get.
func ingressByMark(s State) map[marks.Mark]string {
	links := map[marks.Mark]string{}
	for _, r := range ingressRules(s) {
		links[r.Action.Mark] = r.In
	}
	return links
}

func markMask(s State) marks.Mask {
	for _, r := range ingressRules(s) {
		return r.Action.Mask
	}
	return 0
}

// ingressRules are the rules by which connections get marks, as far as they can be read.
func ingressRules(s State) []marks.Rule {
	var rules []marks.Rule
	for _, k := range sortedKeys(s.Chains, compareChains) {
		for line := range strings.Lines(s.Chains[k]) {
			if r, err := marks.ParseRule(strings.TrimSpace(line)); err == nil && r.Action.Kind == marks.SetCtmark {
				rules = append(rules, r)
			}
		}
	}
	return rules
}
