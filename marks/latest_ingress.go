package marks

import (
	"fmt"
	"slices"
)

// maxUnconditional is the largest number of links that New tests by name. With more, it dispatches by the connection's
// mark, which leads to the one link that agrees with it.
const maxUnconditional = 4

// byLinkChain is reached from New on hosts with more than maxUnconditional links, by packets whose connection has no mark
// or that of another link. It sets the mark by the ingress link.
const byLinkChain = Prefix + "N"

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
func addLatestIngress(chains []Chain, mask Mask, ipv6 bool, ingress []Ingress) []Chain {
	first, index := groupLinks(ingress), len(chains)
	keep := Rule{Packet: errorOf(ipv6), Ctmark: MarkMatch{Not: true, Mask: mask}, Action: Action{Kind: Return}}
	if len(first) == 1 {
		return addIngressDispatch(chains, New, mask, first)
	}
	if len(first) <= maxUnconditional {
		return insertFirst(addIngressDispatch(chains, New, mask, first), index, keep)
	}
	isShared := map[string]Ingress{}
	for _, l := range first {
		isShared[l.Link] = l
	}
	rules := map[ID][]Rule{} // by group
	for _, in := range ingress {
		group := mask.ID(in.Mark) >> digitBits
		rules[group] = append(rules[group], isShared[in.Link].keepMarkRule(in.Mark, mask))
	}
	chains = addMarkTree(chains, mask, markGroupChain, rules, Rule{Action: Action{Kind: Goto, Chain: byLinkChain}})
	index = len(chains)
	return insertFirst(addIngressDispatch(chains, byLinkChain, mask, first), index, keep)
}

// insertFirst inserts a rule before those of a chain.
func insertFirst(chains []Chain, index int, rule Rule) []Chain {
	chains[index].Rules = slices.Insert(chains[index].Rules, 0, rule)
	return chains
}

// errorOf matches the ICMP errors of a family, which are related to the connection that they report about. That of a reply has the original
// direction, but no client has sent it: a router that answers a stray reply, or a forged error, must not draw the next reply to itself.
func errorOf(ipv6 bool) PacketMatch { return PacketMatch{Proto: icmp(ipv6), State: "RELATED"} }

// keepMarkRule returns the rule for a connection that has the mark and came in by the link. Where uplinks share the link, its
// routers decide.
func (l Ingress) keepMarkRule(mark Mark, mask Mask) Rule {
	rule := Rule{In: l.Link, Ctmark: MarkMatch{Mark: mark, Mask: mask}, Action: Action{Kind: Return}}
	if len(l.shared) > 0 {
		rule.Action = Action{Kind: Goto, Chain: routersChain(mask.ID(l.Mark))}
	}
	return rule
}
