package marks

import (
	"cmp"
	"slices"
	"strings"
)

// below names the chain for the links whose names begin so. At most 14 characters of a link's 15 get here, and so the
// name is within iptables' 28.
func below(prefix string) string { return Prefix + "N-" + prefix }

// learn adds the chain in which a question's connection gets the mark of the link that it came in on, and the chains
// below it: more than Plain links are told apart by what their names have in common and the next character. What is
// below a chain is reached by a goto, so that no packet is asked for other names after that. A link that comes or goes
// changes the chain that names it, and no other as long as none becomes too long by it.
func learn(all []Chain, chain string, mask Mask, links []Ingress) []Chain {
	if len(links) <= Plain {
		rules := make([]Rule, len(links))
		for i, l := range links {
			rules[i] = l.learn(mask)
		}
		return append(all, Chain{chain, rules})
	}
	at := len(all)
	all = append(all, Chain{Name: chain})
	for _, group := range byPrefix(links) {
		rule := group[0].learn(mask)
		if len(group) > 1 {
			prefix := common(group)
			rule = Rule{In: prefix + "+", Target: Target{Verb: Goto, Chain: below(prefix)}}
			all = learn(all, below(prefix), mask, group)
		}
		all[at].Rules = append(all[at].Rules, rule)
	}
	return all
}

func (l Ingress) learn(mask Mask) Rule {
	return Rule{In: l.Link, Target: Target{Verb: SetCtmark, Mark: l.Mark, Mask: mask}}
}

// byPrefix parts links by the first character that their names do not have in common.
func byPrefix(links []Ingress) (groups [][]Ingress) {
	links = slices.SortedFunc(slices.Values(links), func(a, b Ingress) int { return cmp.Compare(a.Link, b.Link) })
	n := len(common(links))
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

// common is what the links' names begin with, all of them.
func common(links []Ingress) string {
	prefix := links[0].Link
	for _, l := range links {
		for !strings.HasPrefix(l.Link, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}
