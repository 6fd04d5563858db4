package marks

import (
	"cmp"
	"slices"
	"strings"
)

// prefixChain returns the name of the chain for links whose names have this prefix. The prefix has at most 14 of the 15
// characters of a link's name, so the result is within the 28 characters that iptables allows.
func prefixChain(prefix string) string { return Prefix + "N-" + prefix }

// addIngressDispatch appends the chain that sets a connection's mark by ingress link, and the chains below it. More
// than MaxLinear links are grouped by the first character in which their names differ. The chains below are reached by
// goto, so that no further name is tested after them. Adding or removing a link changes only the chain that names it,
// unless a chain crosses MaxLinear.
func addIngressDispatch(chains []Chain, name string, mask Mask, ingress []Ingress) []Chain {
	if len(ingress) <= MaxLinear {
		rules := make([]Rule, len(ingress))
		for i, l := range ingress {
			rules[i] = l.setMarkRule(mask)
		}
		return append(chains, Chain{name, rules})
	}
	index := len(chains)
	chains = append(chains, Chain{Name: name})
	for _, group := range groupByPrefix(ingress) {
		rule := group[0].setMarkRule(mask)
		if len(group) > 1 {
			prefix := commonPrefix(group)
			rule = Rule{In: prefix + "+", Action: Action{Kind: Goto, Chain: prefixChain(prefix)}}
			chains = addIngressDispatch(chains, prefixChain(prefix), mask, group)
		}
		chains[index].Rules = append(chains[index].Rules, rule)
	}
	return chains
}

// setMarkRule returns the rule that sets the mark of connections that come in by the link. Where uplinks share the link, its
// routers decide.
func (l Ingress) setMarkRule(mask Mask) Rule {
	if len(l.shared) > 0 {
		return Rule{In: l.Link, Action: Action{Kind: Goto, Chain: routersChain(mask.ID(l.Mark))}}
	}
	return Rule{In: l.Link, Action: Action{Kind: SetCtmark, Mark: l.Mark, Mask: mask}}
}

// groupByPrefix groups links by the first character in which their names differ, sorted by name.
func groupByPrefix(links []Ingress) (groups [][]Ingress) {
	links = slices.SortedFunc(slices.Values(links), func(a, b Ingress) int { return cmp.Compare(a.Link, b.Link) })
	n := len(commonPrefix(links))
	next := func(l Ingress) string { return l.Link[n:min(n+1, len(l.Link))] }
	for len(links) > 0 {
		end := slices.IndexFunc(links, func(l Ingress) bool { return next(l) != next(links[0]) })
		if end < 0 {
			end = len(links)
		}
		groups = append(groups, links[:end])
		links = links[end:]
	}
	return groups
}

// commonPrefix returns the longest common prefix of the links' names.
func commonPrefix(links []Ingress) string {
	prefix := links[0].Link
	for _, l := range links {
		for !strings.HasPrefix(l.Link, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}
