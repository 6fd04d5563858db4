package marks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The kinds of actions that only nftables has. SetMarks writes the bits under the mask of both the connection's and the
// packet's mark, SetFwmark those of the packet's alone. CopyCtmark replaces the whole mark of a packet by the bits under
// the mask of its connection's mark and returns from the chain; it is for packets whose mark is 0, and a packet without a
// connection does not match it. AcceptCtmark does the same but accepts the packet, as Accept does: for base chains, where that is
// less work than a return. The LookUp kinds look up a key in a map: the packet's ingress or egress link, the sender of its
// frame, or a mark under the mask. The packet continues at the chain that the element names; without an element, at the next rule.
const (
	SetMarks ActionKind = iota + 0x40
	SetFwmark
	CopyCtmark
	LookUpIn
	LookUpMAC
	LookUpFwmark
	LookUpCtmark
	LookUpOut
	Accept
	AcceptCtmark
)

// mapSuffix ends the name of every map.
const mapSuffix = "-MAP"

// MapSize is the largest number of elements of a map: one for each id. Those of IsMACMap have no limit: an uplink can have several
// routers. The kernel looks up a key with fewer instructions in a map
// that cannot grow (net/netfilter/nft_set_hash.c, nft_hash_lookup).
const MapSize = 256

// The maps, in the form of chains: see IsMap.
const (
	InMap      = Prefix + "IN" + mapSuffix      // by ingress link: to the chain that sets the link's mark
	RestoreMap = Prefix + "RESTORE" + mapSuffix // by the connection's mark: to the chain that gives it to the packet
	PinMap     = Prefix + "PIN" + mapSuffix     // by egress link: to the chain that pins a connection to it
	MasqMap    = Masq + mapSuffix               // by egress link: to the chain that translates what leaves by it
	SaveMap    = Prefix + "SAVE" + mapSuffix    // by the packet's mark: to the chain that gives it to the connection
	CountMap   = Prefix + "S" + mapSuffix       // by the connection's mark: to CounterChain
)

// errorChain gives an ICMP error that changes no mark the mark of its connection, as Pre does. It is there with several links.
const errorChain = Prefix + "ERR"

// macMapPrefix starts the names of the maps by the hardware address of a router, of which a link with several uplinks has one.
const macMapPrefix = Prefix + "MAC"

// routersMap returns the map of the routers of a link, by the smallest id on the link: to the chain that sets the router's mark.
func routersMap(id ID) string { return fmt.Sprintf("%s%d%s", macMapPrefix, id, mapSuffix) }

// keepMap returns the map of the marks of the other uplinks on the link, by the connection's mark: to the chain that sets it.
func keepMap(id ID) string { return keepChain(id, 0) + mapSuffix }

// markedMap returns the map of the marks that a packet may have when it comes in by the link: to the chain that sets it.
func markedMap(id ID) string { return fmt.Sprintf("%sMARKED%d%s", Prefix, id, mapSuffix) }

// IsMap reports whether a chain is a map. Its rules are the elements, in the order of CompareElements: each matches one
// key, a link by Rule.In, a router by Rule.MAC, or a mark by Rule.Ctmark under FullMask, and its action is a Goto.
func IsMap(chain string) bool {
	return strings.HasSuffix(chain, mapSuffix) && !strings.HasPrefix(chain, interceptPrefix)
}

// IsLinkMap reports whether the keys of a map are links.
func IsLinkMap(name string) bool { return name == InMap || IsEgressMap(name) }

// IsEgressMap reports whether the keys of a map are the links that packets leave by.
func IsEgressMap(name string) bool { return name == PinMap || name == MasqMap }

// IsMACMap reports whether the keys of a map are hardware addresses.
func IsMACMap(name string) bool { return IsMap(name) && strings.HasPrefix(name, macMapPrefix) }

// CompareElements compares two elements of a map by their keys.
func CompareElements(a, b Rule) int {
	return cmp.Or(cmp.Compare(a.In, b.In), cmp.Compare(a.MAC, b.MAC), cmp.Compare(a.Ctmark.Mark, b.Ctmark.Mark))
}

// Layout returns the chains of a family that set and restore marks on a host with these ingress links in this link group, in the
// form that suits the backend: Chains, or MapChains for nftables.
func Layout(b Backend, mask Mask, group uint32, ipv6 bool, ingress []Ingress) []Chain {
	if b == Nftables {
		return MapChains(mask, group, ipv6, ingress)
	}
	return Chains(mask, group, ipv6, ingress)
}

// MapChains returns the layout for nftables, which has maps. It does to packets what Chains does, and no packet is tested
// by more rules when there are more links. A map leads to the chain of one link or mark because an operation that
// combines two marks needs Linux 6.13, and nft(8) 1.0.6 aborts when it lists one.
func MapChains(mask Mask, group uint32, ipv6 bool, ingress []Ingress) []Chain {
	unmarked := MarkMatch{Mask: FullMask}
	restore := Rule{Action: Action{Kind: LookUpCtmark, Chain: RestoreMap, Mask: mask}}
	fast := Rule{Fwmark: unmarked, Action: Action{Kind: CopyCtmark, Mask: mask}}
	chains := make([]Chain, 0, 8+4*len(ingress))
	pre := []Rule{{SrcGroup: group, Dir: "ORIGINAL", Action: Action{Kind: LookUpIn, Chain: InMap}}}
	if inside := insideRules(mask, ingress); len(inside) > 0 {
		pre = append(pre, Rule{SrcGroup: group, Ctmark: MarkMatch{Mask: mask}, Dir: "REPLY", Action: Action{Kind: Jump, Chain: Inside}})
		chains = append(chains, Chain{Inside, inside})
	}
	for _, link := range classifiedLinks(ingress) {
		pre = append(pre, Rule{In: link, Fwmark: MarkMatch{Not: true, Mask: mask}, Action: Action{Kind: SetFwmark, Mask: mask}})
	}
	if len(groupLinks(ingress)) > 1 {
		chains = append(chains, Chain{errorChain, []Rule{fast, restore}})
	}
	chains = append(chains, Chain{Pre, append(pre, fast, restore)},
		Chain{Out, []Rule{fast, {Ctmark: MarkMatch{Mask: mask}, Action: Action{Kind: LookUpFwmark, Chain: SaveMap, Mask: mask}}, restore}},
		Chain{Post, []Rule{{Action: Action{Kind: LookUpCtmark, Chain: CountMap, Mask: mask}}}})
	return addElements(chains, mask, ipv6, ingress)
}

// addElements appends the maps and the chains to which they lead.
func addElements(chains []Chain, mask Mask, ipv6 bool, ingress []Ingress) []Chain {
	in, restore, save, count := Chain{Name: InMap}, Chain{Name: RestoreMap}, Chain{Name: SaveMap}, Chain{Name: CountMap}
	links := map[Mark]Ingress{}
	for _, l := range groupLinks(ingress) {
		links[l.Mark] = l
	}
	for _, l := range ingress {
		id := mask.ID(l.Mark)
		byMark := func(chain string) Rule {
			return Rule{Ctmark: MarkMatch{Mark: l.Mark, Mask: FullMask}, Action: Action{Kind: Goto, Chain: chain}}
		}
		add := func(m *Chain, element Rule, rules ...Rule) {
			m.Rules = append(m.Rules, element)
			chains = append(chains, Chain{element.Action.Chain, rules})
		}
		set := func(kind ActionKind) Rule { return Rule{Action: Action{Kind: kind, Mark: l.Mark, Mask: mask}} }
		into := Chain{ingressChain(id), []Rule{set(SetMarks)}}
		if len(links) > 1 {
			into.Rules = slices.Insert(into.Rules, 0, Rule{Packet: errorOf(ipv6), Ctmark: MarkMatch{Not: true, Mask: mask}, Action: Action{Kind: Goto, Chain: errorChain}})
		}
		chains = append(chains, into)
		if first, is := links[l.Mark]; is && len(first.shared) > 0 {
			add(&in, Rule{In: l.Link, Action: Action{Kind: Goto, Chain: routersChain(id)}}, first.lookUpRouter(mask)...)
			chains = append(chains, first.routerMaps(mask)...)
		} else if is {
			in.Rules = append(in.Rules, Rule{In: l.Link, Action: Action{Kind: Goto, Chain: ingressChain(id)}})
		}
		add(&restore, byMark(fmt.Sprintf("%sRESTORE%d", Prefix, id)), set(SetFwmark))
		add(&save, byMark(fmt.Sprintf("%sSAVE%d", Prefix, id)), set(SetCtmark))
		add(&count, byMark(CounterChain(id)), mapCounterRules(l)...)
	}
	for _, m := range []Chain{in, restore, save, count} {
		slices.SortFunc(m.Rules, CompareElements)
		chains = append(chains, m)
	}
	return chains
}

// lookUpRouter returns the rules of the chain of a link with several uplinks.
func (l Ingress) lookUpRouter(mask Mask) []Rule {
	id := mask.ID(l.Mark)
	var rules []Rule
	if len(classifiedLinks(l.shared)) > 0 {
		rules = []Rule{{Fwmark: MarkMatch{Not: true, Mask: mask}, Packet: notRelated, Action: Action{Kind: LookUpFwmark, Chain: markedMap(id), Mask: mask}}}
	}
	return append(rules, []Rule{
		{Packet: notRelated, Action: Action{Kind: LookUpMAC, Chain: routersMap(id)}},
		{Action: Action{Kind: LookUpCtmark, Chain: keepMap(id), Mask: mask}},
		{Action: l.toIngressChain(mask)},
	}...)
}

// routerMaps returns the maps of lookUpRouter. A hardware address that several uplinks have is that of the first one.
func (l Ingress) routerMaps(mask Mask) []Chain {
	id := mask.ID(l.Mark)
	routers, keep, marked := Chain{Name: routersMap(id)}, Chain{Name: keepMap(id)}, Chain{Name: markedMap(id)}
	seen := map[string]bool{}
	for i, in := range l.shared {
		for _, mac := range in.Routers {
			if !seen[mac] {
				routers.Rules = append(routers.Rules, Rule{MAC: mac, Action: in.toIngressChain(mask)})
			}
			seen[mac] = true
		}
		byMark := Rule{Ctmark: MarkMatch{Mark: in.Mark, Mask: FullMask}, Action: in.toIngressChain(mask)}
		if i > 0 {
			keep.Rules = append(keep.Rules, byMark)
		}
		if in.Classified {
			marked.Rules = append(marked.Rules, byMark)
		}
	}
	maps := []Chain{routers, keep}
	if len(marked.Rules) > 0 {
		maps = append(maps, marked)
	}
	for _, m := range maps {
		slices.SortFunc(m.Rules, CompareElements)
	}
	return maps
}

// mapCounterRules returns the rules of CounterChain. Packets to the host itself come last, as nearly all leave by the
// uplink: see CounterOf.
func mapCounterRules(in Ingress) []Rule {
	rules := counterRules(in)
	return slices.Insert(rules, 1, Rule{Out: "lo", Action: Action{Kind: Return}})
}

// mapString formats the actions that only nftables has, in the style of the others.
func (a Action) mapString() string {
	switch a.Kind {
	case Accept:
		return "accept"
	case SetMarks, SetFwmark, CopyCtmark, AcceptCtmark:
		kind := map[ActionKind]string{SetMarks: "set marks", SetFwmark: "set mark", CopyCtmark: "copy ctmark", AcceptCtmark: "accept ctmark"}[a.Kind]
		return kind + " " + a.Mark.String() + "/" + a.Mask.String()
	case LookUpIn:
		return "link in " + a.Chain
	case LookUpMAC:
		return "router in " + a.Chain
	case LookUpOut:
		return "egress link in " + a.Chain
	case LookUpFwmark, LookUpCtmark:
		kind := map[ActionKind]string{LookUpFwmark: "mark", LookUpCtmark: "ctmark"}[a.Kind]
		return kind + "/" + a.Mask.String() + " in " + a.Chain
	}
	return ""
}
