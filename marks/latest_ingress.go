package marks

import "fmt"

// maxUnconditional is the largest number of links that New tests by name. With more, it dispatches by the connection's
// mark, which leads to the one link that agrees with it.
const maxUnconditional = 4

// byLinkChain is reached from New on hosts with more than maxUnconditional links, by packets whose connection has no mark
// or that of another link. It sets the mark by the ingress link.
const byLinkChain = Prefix + "N"

// Ids are dispatched in groups of 2^digitBits, and groups by the digits of their number.
const (
	digitBits = 2
	maxDigit  = 1<<digitBits - 1
)

func markGroupChain(group ID) string {
	if group == 0 {
		return New
	}
	return fmt.Sprintf("%sM%d", Prefix, group)
}

// addLatestIngress appends the chain that each packet of the original direction from an uplink traverses, and the chains
// below it: a connection's mark follows the ingress link of its latest such packet. A mark that is right stays as it is:
// xt_connmark writes and announces only changes (net/netfilter/xt_connmark.c).
//
// With many links, the mark's digits lead to the chain of its group, and the packet returns at the rule that names its
// mark and its link. Only packets that find no such rule are dispatched by link.
func addLatestIngress(chains []Chain, mask Mask, ingress []Ingress) []Chain {
	first := groupLinks(ingress)
	if len(first) <= maxUnconditional {
		return addIngressDispatch(chains, New, mask, first)
	}
	isShared := map[string]Ingress{}
	for _, l := range first {
		isShared[l.Link] = l
	}
	links := map[ID][]Ingress{} // by group
	var last ID
	for _, in := range ingress {
		group := mask.ID(in.Mark) >> digitBits
		links[group] = append(links[group], in)
		last = max(last, group)
	}
	reached := reachableGroups(links)
	for group := range last + 1 {
		if !reached[group] {
			continue
		}
		rules := digitRules(mask, group, last, reached)
		for _, in := range links[group] {
			rules = append(rules, isShared[in.Link].keepMarkRule(in.Mark, mask))
		}
		rules = append(rules, Rule{Action: Action{Kind: Goto, Chain: byLinkChain}})
		chains = append(chains, Chain{markGroupChain(group), rules})
	}
	return addIngressDispatch(chains, byLinkChain, mask, first)
}

// keepMarkRule returns the rule for a connection that has the mark and came in by the link. Where uplinks share the link, its
// routers decide.
func (l Ingress) keepMarkRule(mark Mark, mask Mask) Rule {
	rule := Rule{In: l.Link, Ctmark: MarkMatch{Mark: mark, Mask: mask}, Action: Action{Kind: Return}}
	if len(l.shared) > 0 {
		rule.Action = Action{Kind: Goto, Chain: routersChain(mask.ID(l.Mark))}
	}
	return rule
}

// digitRules returns the gotos from a group's chain to the groups whose numbers differ from its own by one digit, below
// its lowest digit. The digits of group 0 are all below.
func digitRules(mask Mask, group, last ID, reached map[ID]bool) (rules []Rule) {
	for shift := digitsBelow(group, last); shift > 0; shift -= digitBits {
		for digit := ID(maxDigit); digit > 0; digit-- {
			next := group + digit<<(shift-digitBits)
			if reached[next] {
				match := MarkMatch{Mark: mask.Mark(digit << shift), Mask: Mask(mask.Mark(maxDigit<<shift)) & mask}
				rules = append(rules, Rule{Ctmark: match, Action: Action{Kind: Goto, Chain: markGroupChain(next)}})
			}
		}
	}
	return rules
}

// reachableGroups returns the groups with links and the groups on the way to them: a group is reached from the one
// without its lowest digit.
func reachableGroups(links map[ID][]Ingress) map[ID]bool {
	reached := map[ID]bool{0: true}
	for group := range links {
		for shift := 0; group != 0; shift += digitBits {
			if digit := group & (maxDigit << shift); digit != 0 {
				reached[group] = true
				group -= digit
			}
		}
	}
	return reached
}

// digitsBelow returns how many bits of a group's number are below its lowest digit that is not zero: for group 0, all bits
// of the last group.
func digitsBelow(group, last ID) (bits int) {
	if group == 0 {
		for ; last>>bits != 0; bits += digitBits {
		}
		return bits
	}
	for ; group>>bits&maxDigit == 0; bits += digitBits {
	}
	return bits
}
