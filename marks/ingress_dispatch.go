package marks

import (
	"cmp"
	"slices"
	"strings"
)

// prefixChain names the chain for the links whose names begin so. At most 14 characters of a link's 15 get here, and so the
// name is within iptables' 28.
func prefixChain(prefix string) string { return Prefix + "N-" + prefix }

// addIngressDispatch adds the chain in which a question's connection gets the mark of the link that it came in on, and the chains
// below it: more than MaxLinear links are told apart by what their names have in common and the next character. What is
// below a chain is reached by a goto, so that no packet is asked for other names after that. A link that comes or goes
// changes the chain that names it, and no other as long as none becomes too long by it.
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

func (l Ingress) setMarkRule(mask Mask) Rule {
	return Rule{In: l.Link, Action: Action{Kind: SetCtmark, Mark: l.Mark, Mask: mask}}
}

// groupByPrefix parts links by the first character that their names do not have in common.
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

// commonPrefix is what the links' names begin with, all of them.
func commonPrefix(links []Ingress) string {
	prefix := links[0].Link
	for _, l := range links {
		for !strings.HasPrefix(l.Link, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}
