package marks

import (
	"fmt"
	"slices"
)

// Several uplinks can be on one link, distinguished by the hardware addresses of their routers: their Ingress have the same
// Link. A packet that comes in by such a link is sent to the link's chain, which compares its source with the routers'.
//
// A frame of a known router belongs to the router's uplink. One of an unknown router, such as the new master of a VRRP pair,
// changes no connection of the link's uplinks; a connection that is new begins at the first uplink, to which the hosts of the link
// belong too. Nor does an ICMP error of any router: one that gets a stray reply answers with an error, and the next reply must not
// go there for it.

// routersChain returns the name of the chain that tells the routers of a link apart, by the smallest id on the link.
func routersChain(id ID) string { return fmt.Sprintf("%sR%d", Prefix, id) }

// ingressChain returns the name of the chain that sets the mark of one uplink.
func ingressChain(id ID) string { return fmt.Sprintf("%sIN%d", Prefix, id) }

// keepChain returns the name of a chain for packets of no known router, by the smallest id on the link: connections with the mark of
// an uplink on the link keep it.
func keepChain(id, group ID) string {
	if group == 0 {
		return fmt.Sprintf("%sKEEP%d", Prefix, id)
	}
	return fmt.Sprintf("%sKEEP%d-%d", Prefix, id, group)
}

// related matches ICMP errors, and connections that a helper of connection tracking expects, which have the mark of their master.
var related = PacketMatch{State: "RELATED"}

// notRelated matches all other packets.
var notRelated = PacketMatch{State: "RELATED", NotState: true}

// groupLinks returns the first Ingress of each link, with the others of its link, in the order of ids. The order of the links
// is that of their first Ingress.
func groupLinks(ingress []Ingress) (links []Ingress) {
	position := make(map[string]int, len(ingress))
	for _, in := range ingress {
		first, shared := position[in.Link]
		if !shared {
			position[in.Link] = len(links)
			links = append(links, in)
			continue
		}
		if len(links[first].shared) == 0 {
			links[first].shared = []Ingress{links[first]}
		}
		links[first].shared = append(links[first].shared, in)
	}
	return links
}

// addRouterChains appends the chains of the links with several uplinks, and the chains that set their marks.
func addRouterChains(chains []Chain, mask Mask, links []Ingress) []Chain {
	for _, l := range links {
		if len(l.shared) == 0 {
			continue
		}
		if tree := l.treeRouters(mask); len(tree) > MaxLinear {
			chains = l.addRouterTree(chains, mask, tree)
		} else {
			chains = append(chains, Chain{routersChain(mask.ID(l.Mark)), l.routerRules(mask)})
		}
		for _, in := range l.shared {
			set := Rule{Action: Action{Kind: SetCtmark, Mark: in.Mark, Mask: mask}}
			chains = append(chains, Chain{ingressChain(mask.ID(in.Mark)), []Rule{set}})
		}
	}
	return chains
}

// routerRules returns the rules of the chain of a link with several uplinks that compare the routers one after the other.
func (l Ingress) routerRules(mask Mask) (rules []Rule) {
	rules = l.markedRules(mask)
	for _, in := range l.shared {
		for _, mac := range in.Routers {
			rules = append(rules, Rule{MAC: mac, Packet: notRelated, Action: in.toIngressChain(mask)})
		}
	}
	for _, in := range l.shared[1:] {
		rules = append(rules, Rule{Ctmark: MarkMatch{Mark: in.Mark, Mask: mask}, Action: in.toIngressChain(mask)})
	}
	return append(rules, Rule{Action: l.toIngressChain(mask)})
}

// markedRules returns the rules for packets that have the mark of an uplink when they come in by the link. That is right also where the
// rules have the hardware address of another uplink's router, to which it belonged before.
func (l Ingress) markedRules(mask Mask) (rules []Rule) {
	for _, in := range l.shared {
		if in.Classified {
			rules = append(rules, Rule{Fwmark: MarkMatch{Mark: in.Mark, Mask: mask}, Packet: notRelated, Action: in.toIngressChain(mask)})
		}
	}
	return rules
}

// classifiedLinks returns the links of the Ingress that are Classified, each once. A mark that no rule has taken must not route the
// packet, which may be a reply.
func classifiedLinks(ingress []Ingress) (links []string) {
	for _, in := range ingress {
		if in.Classified && !slices.Contains(links, in.Link) {
			links = append(links, in.Link)
		}
	}
	return links
}

// toIngressChain returns the goto to the chain that sets the uplink's mark.
func (l Ingress) toIngressChain(mask Mask) Action {
	return Action{Kind: Goto, Chain: ingressChain(mask.ID(l.Mark))}
}
