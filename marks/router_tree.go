package marks

import (
	"cmp"
	"fmt"
	"slices"
)

// maxCompared is the largest number of routers that the last chain of a tree compares one after the other. Each more takes about as
// long as the level of the tree that it would need.
const maxCompared = 8

// treeRouter is a router whose hardware address is compared in a tree.
type treeRouter struct {
	mac    string
	number uint64 // of mac
	action Action
}

// treeRouters returns the routers of a link that are compared in a tree, each once, by their numbers: none that is compared before.
func (l Ingress) treeRouters(mask Mask) (all []treeRouter) {
	seen := map[string]bool{}
	for _, in := range l.shared {
		for _, mac := range in.Routers {
			seen[mac] = seen[mac] || !in.Tree
		}
	}
	for _, in := range l.shared {
		for _, mac := range in.Routers {
			if !seen[mac] {
				all = append(all, treeRouter{mac, macNumber(mac), in.toIngressChain(mask)})
			}
			seen[mac] = true
		}
	}
	slices.SortFunc(all, func(a, b treeRouter) int { return cmp.Compare(a.number, b.number) })
	return all
}

// addRouterTree appends the chains that compare the routers of a link: first the few that are not in the tree. The tree divides the
// others by one bit of their addresses in each chain, from the last bit on, so that a router that comes or goes changes few chains. A
// packet that is of none of them meets a tree of marks: the time is that of the logarithm of the number of routers.
func (l Ingress) addRouterTree(chains []Chain, mask Mask, tree []treeRouter) []Chain {
	id := mask.ID(l.Mark)
	keep := Rule{Action: Action{Kind: Goto, Chain: keepChain(id, 0)}}
	first := append([]Rule{{Packet: related, Action: keep.Action}}, l.markedRules(mask)...)
	marked := map[ID][]Rule{}
	for i, in := range l.shared {
		if i > 0 {
			group := mask.ID(in.Mark) >> digitBits
			marked[group] = append(marked[group], in.keepRule(mask))
		}
		for _, mac := range in.Routers {
			if !in.Tree {
				first = append(first, Rule{MAC: mac, Action: in.toIngressChain(mask)})
			}
		}
	}
	chains = addTreeChain(chains, routersChain(id), routersChain(id), first, tree, keep)
	index := len(chains)
	chains = addMarkTree(chains, mask, func(group ID) string { return keepChain(id, group) }, marked, Rule{Action: l.toIngressChain(mask)})
	chains[index].Rules = slices.Insert(chains[index].Rules, 0, l.keepRule(mask)) // the hosts of the link have it
	return chains
}

// keepRule returns the rule for a connection that has the uplink's mark.
func (l Ingress) keepRule(mask Mask) Rule {
	return Rule{Ctmark: MarkMatch{Mark: l.Mark, Mask: mask}, Action: Action{Kind: Return}}
}

// addTreeChain appends the chain that begins with the rules and divides the routers, and those to which it leads, whose names begin
// with prefix and end with the bits by which they differ from all others. Those of its routers that have a 0 where others have a 1 stay
// in the chain.
func addTreeChain(chains []Chain, prefix, name string, rules []Rule, all []treeRouter, otherwise Rule) []Chain {
	index := len(chains)
	chains = append(chains, Chain{Name: name})
	for bit := uint8(1); len(all) > maxCompared && bit <= macBits; bit++ {
		var ones, zeros []treeRouter
		for _, r := range all {
			if r.number>>(bit-1)&1 == 1 {
				ones = append(ones, r)
			} else {
				zeros = append(zeros, r)
			}
		}
		if len(ones) == 0 || len(zeros) == 0 {
			continue
		}
		below := fmt.Sprintf("%s-%x", prefix, ones[0].number&(1<<bit-1))
		rules = append(rules, Rule{MACBit: bit, Action: Action{Kind: Goto, Chain: below}})
		chains = addTreeChain(chains, prefix, below, nil, ones, otherwise)
		all = zeros
	}
	for _, r := range all {
		rules = append(rules, Rule{MAC: r.mac, Action: r.action})
	}
	chains[index].Rules = append(rules, otherwise)
	return chains
}
