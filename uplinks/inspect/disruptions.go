package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// Disruptions returns how a change from the observed to the desired state affects open connections. They keep the mark
// that they have, even if it comes to mean another uplink.
func Disruptions(want, have uplinks.State) []Finding { return disruptions(want, have, nil) }

// disruptions returns what Disruptions does, but for the marks whose connections get another one before.
func disruptions(want, have uplinks.State, moved map[marks.Mark]bool) []Finding {
	linkAfter, linkBefore := ingressByMark(want), ingressByMark(have)
	var all []Finding
	for _, mark := range slices.Sorted(maps.Keys(linkBefore)) {
		link, inUse := linkAfter[mark]
		if inUse && link != linkBefore[mark] && !moved[mark] {
			all = append(all, Finding{
				What:   fmt.Sprintf("open connections that came in by %s have the mark %s, which becomes that of %s: their replies will leave by %s until their client sends a packet", linkBefore[mark], mark, link, link),
				Remedy: "give the uplink an id that was not in use before",
			})
		}
	}
	if before, after := markMask(have), markMask(want); before != 0 && after != 0 && before != after {
		all = append(all, Finding{
			What:   fmt.Sprintf("the mask changes from %s to %s: open connections have no mark under the new mask until their client sends a packet", before, after),
			Remedy: "change it when no open connection matters",
		})
	}
	if before, after := suppressedGroup(have), suppressedGroup(want); before != after && before != uplinks.NoSuppress && after != uplinks.NoSuppress {
		all = append(all, Finding{
			What:   fmt.Sprintf("the link group changes from %d to %d: while links move from one group to the other, replies to networks that main knows by an uplink may leave by that uplink", before, after),
			Remedy: "change it when no open connection matters",
		})
	}
	return all
}

// suppressedGroup returns the link group of the rule with suppress_ifgroup, NoSuppress without one. One rule has one
// group, so the kernel cannot move all links to another group in one step.
func suppressedGroup(s uplinks.State) int64 {
	for r := range s.Rules {
		if r.SuppressGroup != uplinks.NoSuppress {
			return r.SuppressGroup
		}
	}
	return uplinks.NoSuppress
}

// ingressByMark returns the ingress link of each mark.
func ingressByMark(s uplinks.State) map[marks.Mark]string {
	links := map[marks.Mark]string{}
	for _, r := range ingressRules(s) {
		links[r.Action.Mark] = r.In
	}
	return links
}

// markMask returns the mask under which the chains set marks, 0 without a chain.
func markMask(s uplinks.State) marks.Mask {
	for _, r := range ingressRules(s) {
		return r.Action.Mask
	}
	return 0
}

// ingressRules returns the rules that set a connection's mark by its ingress link, as far as they can be parsed. Those of a chain
// for one mark have the link of the rule that leads there.
func ingressRules(s uplinks.State) []marks.Rule {
	var rules []marks.Rule
	links := linksLeadingTo(s)
	for _, k := range s.SortedChains() {
		for _, r := range s.Chains[k].Rules {
			if r.Action.Kind != marks.SetCtmark && r.Action.Kind != marks.SetMarks || r.Out != "" {
				continue
			}
			if r.In == "" {
				r.In = links[k]
			}
			if r.In != "" {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// linksLeadingTo returns the ingress link whose packets are sent to each chain, for those to which a rule leads that names one, or a
// chain of which that is so.
func linksLeadingTo(s uplinks.State) map[uplinks.ChainKey]string {
	links, behind := map[uplinks.ChainKey]string{}, map[uplinks.ChainKey][]uplinks.ChainKey{}
	var open []uplinks.ChainKey
	for _, k := range s.SortedChains() {
		if marks.IsEgressMap(k.Name) {
			continue // its links are those that packets leave by
		}
		for _, r := range s.Chains[k].Rules {
			to := uplinks.ChainKey{Firewall: k.Firewall, Name: r.Action.Chain}
			if to.Name == "" || strings.HasSuffix(r.In, "+") {
				continue
			}
			if r.In == "" {
				behind[k] = append(behind[k], to)
			} else if links[to] == "" {
				links[to], open = r.In, append(open, to)
			}
		}
	}
	for ; len(open) > 0; open = open[1:] {
		for _, to := range behind[open[0]] {
			if links[to] == "" {
				links[to], open = links[open[0]], append(open, to)
			}
		}
	}
	return links
}
