package marks

import "net/netip"

// Prefix starts the name of every chain that replypath owns. It changes and removes all chains with this prefix.
const Prefix = "REPLYPATH-"

// The chains that always exist, except Inside, all in the mangle table. New and Post have chains below them on hosts with
// many links.
const (
	Pre = Prefix + "PRE" // from PREROUTING: sends the original direction to New, restores each packet's mark
	New = Prefix + "NEW" // from Pre: sets a connection's mark by the ingress link of its latest packet
	// From Pre, on hosts with networks inside: sets the mark of connections that a host inside began, see Ingress.Inside.
	Inside = Prefix + "INSIDE"
	Out    = Prefix + "OUT"  // from OUTPUT: restores the mark of local packets, or saves it to their connection
	Post   = Prefix + "POST" // from POSTROUTING: counts a connection's first replies, by its mark
)

// MangleTable is the iptables table of all chains but Masq, and MasqTable that of Masq. One restore of a table is atomic.
const (
	MangleTable = "mangle"
	MasqTable   = "nat"
)

// Chain is a chain of replypath and its rules in order.
type Chain struct {
	Name  string
	Rules []Rule
}

// Ingress is an ingress link and the mark of the connections that arrive on it.
type Ingress struct {
	Link string
	Mark Mark
	// Inside are parts of the link's own networks that are routed to hosts inside, without address translation. Once
	// connection tracking is lost, such a host may speak first in a conversation that a client began: what the client then
	// sends is the reply direction of a connection without a mark, whose other packets main routes by any uplink.
	Inside []netip.Prefix
	// Routers are the hardware addresses of the uplink's routers, in lower case, by which several uplinks on one link are
	// distinguished. On a link with one uplink they are not used.
	Routers []string
	// Tree says that the router is one of many: where they are more than MaxLinear on the link, they are compared in a tree, which
	// needs the match bpf of iptables.
	Tree bool
	// Classified says that packets may have the uplink's mark already when they come in by the link: a program at its ingress gives it
	// to what a router sends whose hardware address the rules do not know yet.
	Classified bool

	shared []Ingress // all uplinks of the link, if there are several; of the first one only
}

// MaxLinear is the largest number of alternatives that one chain tests in sequence. More are dispatched in two levels.
const MaxLinear = 15

// Chains returns the layout for backends that have chains and no maps, on a host with these ingress links in this link
// group. An established packet is tested by two rules and the jump in PREROUTING, as many in OUTPUT, and the hook in
// POSTROUTING, however many links there are; one of the original direction that comes in by an ingress link also by the
// rules of addLatestIngress, whose number grows with the logarithm of the number of links.
//
// The mark of a connection follows the latest packet of its original direction, not only a NEW one: the client's packets
// may come in by another link in the course of a connection (anycast, a provider that reroutes), and conntrack reports
// ESTABLISHED as soon as any reply was sent, so a connection whose first reply strayed before the rules were loaded (at
// boot, or between a foreign flush and the repair) would otherwise never get a mark. Packets of the reply direction never
// change it: in transit between two uplinks they come in by the other one. Nor do ICMP errors, see errorOf.
//
// A local packet that carries a mark of an uplink (SO_MARK) saves it to its connection, so that source validation
// accepts the reply (src_valid_mark). A connection that has a mark keeps it. The packet's own mark is tested first: it
// is the cheapest test, and most packets have none.
func Chains(mask Mask, group uint32, ipv6 bool, ingress []Ingress) []Chain {
	anyMark := MarkMatch{Not: true, Mask: mask}
	restore := Rule{Ctmark: anyMark, Action: Action{Kind: RestoreMark, Mask: mask}}
	save := Rule{Fwmark: anyMark, Ctmark: MarkMatch{Mask: mask}, Action: Action{Kind: SaveMark, Mask: mask}}
	chains := make([]Chain, 0, 8+2*len(ingress))
	pre := []Rule{{SrcGroup: group, Dir: "ORIGINAL", Action: Action{Kind: Jump, Chain: New}}}
	if inside := insideRules(mask, ingress); len(inside) > 0 {
		pre = append(pre, Rule{SrcGroup: group, Ctmark: MarkMatch{Mask: mask}, Dir: "REPLY", Action: Action{Kind: Jump, Chain: Inside}})
		chains = append(chains, Chain{Inside, inside})
	}
	for _, link := range classifiedLinks(ingress) {
		pre = append(pre, Rule{In: link, Fwmark: anyMark, Action: Action{Kind: SetMark, Mask: mask}})
	}
	chains = append(chains, Chain{Pre, append(pre, restore)}, Chain{Out, []Rule{save, restore}})
	chains = addLatestIngress(chains, mask, ipv6, ingress)
	chains = addRouterChains(chains, mask, groupLinks(ingress))
	return addReplyCounters(chains, mask, ingress)
}

// insideRules returns the rules of Inside: a connection without a mark, begun by a host in a part of an ingress link's own
// network, belongs to that link when its replies come in by it. Main may send its other packets by another provider, which
// drops their source address. Connections behind source address translation are not concerned: their replies are
// addressed to this host.
func insideRules(mask Mask, ingress []Ingress) (rules []Rule) {
	for _, in := range groupLinks(ingress) {
		for _, p := range in.Inside {
			rule := in.setMarkRule(mask)
			rule.ReplyTo = p
			rules = append(rules, rule)
		}
	}
	return rules
}
