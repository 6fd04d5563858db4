package proof

import (
	"cmp"
	"net/netip"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rpdb"
)

// ClientNetwork is a network that a rule, route or IPsec policy of another program selects, so that replies to clients there may
// have another fate than those to all others.
type ClientNetwork struct {
	Prefix netip.Prefix
	Client netip.Addr    // an address of the network
	Table  uplinks.Table // of the uplink that has a route to it; 0: something else selects it
	// Flows are packets with the other selectors of these rules and routes: protocol, ports, type of service, user.
	Flows []uplinks.Flow
}

// maxClientNetworks bounds the networks of a family, and maxFlows the flows of each, which are looked up for each path.
const (
	maxClientNetworks = 8
	maxFlows          = 8
)

// Selectors are the rules, routes and IPsec policies of one family.
type Selectors struct {
	Rules    []rpdb.Rule
	Routes   []rpdb.Route // as rtnl.SpecificRoutes reads them
	Policies []egress.Policy
}

// ClientNetworks returns the networks of clients that the selectors of other programs name, those in tables of uplinks first, then
// the largest. Networks that the host itself has an address in are no clients', nor are single addresses that main refuses, as
// programs that ban them (fail2ban) do. Routes by links that are no uplink are left out: they say where these clients are.
func ClientNetworks(f uplinks.Facts, uplinkTables map[uplinks.Table]string, s Selectors) []ClientNetwork {
	isUplink := map[string]bool{}
	for _, link := range uplinkTables {
		isUplink[link] = true
	}
	var all []ClientNetwork
	add := func(p netip.Prefix, table uplinks.Table, flow uplinks.Flow) {
		if p.IsValid() && p.Bits() > 0 && !overlapsHost(f, p) && (table != 0 || isPublic(p.Addr())) {
			n := ClientNetwork{Prefix: p.Masked(), Table: table}
			if flow != (uplinks.Flow{}) {
				n.Flows = []uplinks.Flow{flow}
			}
			all = append(all, n)
		}
	}
	for _, r := range s.Routes {
		_, own := uplinkTables[r.Table]
		leaves := slices.ContainsFunc(r.Hops, func(h rpdb.Hop) bool { return isUplink[h.Link] })
		switch banned := r.Table == uplinks.MainTable && r.Dst.IsSingleIP(); {
		case own:
			add(r.Dst, r.Table, uplinks.Flow{TOS: r.TOS})
		case !banned && (r.Type != uplinks.Unicast || leaves):
			add(r.Dst, 0, uplinks.Flow{TOS: r.TOS})
		}
	}
	for _, r := range s.Rules {
		if r.Protocol != uplinks.Protocol && r.Protocol != kernelProtocol && !r.Not {
			add(r.From, 0, flowOf(r))
			add(r.To, 0, flowOf(r))
		}
	}
	for _, p := range s.Policies {
		if p.Block {
			add(p.From, 0, uplinks.Flow{})
			add(p.To, 0, uplinks.Flow{})
		}
	}
	slices.SortStableFunc(all, ClientNetwork.compare)
	all = merged(all)
	all = all[:min(maxClientNetworks, len(all))]
	for i := range all {
		all[i].Client = clientOf(all[i].Prefix, all)
	}
	return all
}

// compare orders networks: those in tables of uplinks first, then the largest.
func (n ClientNetwork) compare(o ClientNetwork) int {
	elsewhere := func(n ClientNetwork) int { return map[bool]int{true: 1}[n.Table == 0] }
	return cmp.Or(cmp.Compare(elsewhere(n), elsewhere(o)), cmp.Compare(n.Prefix.Bits(), o.Prefix.Bits()), n.Prefix.Addr().Compare(o.Prefix.Addr()), cmp.Compare(n.Table, o.Table))
}

// merged returns the networks, which are in order, without repetitions. Each has the flows of all that were equal.
func merged(networks []ClientNetwork) (all []ClientNetwork) {
	for _, n := range networks {
		last := len(all) - 1
		if last < 0 || all[last].compare(n) != 0 {
			all = append(all, n)
			continue
		}
		for _, flow := range n.Flows {
			if flows := all[last].Flows; len(flows) < maxFlows && !slices.Contains(flows, flow) {
				all[last].Flows = append(flows, flow)
			}
		}
	}
	return all
}

// flowOf returns a packet that the selectors of the rule match, but those of its addresses, mark and interfaces. A rule that selects
// ports of any protocol is taken for one of TCP.
func flowOf(r rpdb.Rule) uplinks.Flow {
	f := uplinks.Flow{Proto: r.Proto, Sport: r.Sport.First, Dport: r.Dport.First, TOS: r.TOS}
	if f.Proto == 0 && f.Sport|f.Dport != 0 {
		f.Proto = rpdb.TCP
	}
	if r.UIDs != nil {
		f.UID = r.UIDs.First
	}
	return f
}

// overlapsHost reports whether an address of the host, or a network on one of its links, is in the network, or the network in that.
func overlapsHost(f uplinks.Facts, p netip.Prefix) bool {
	for _, l := range f.Links {
		if slices.ContainsFunc(l.Addrs, func(a uplinks.Addr) bool { return a.Prefix.Masked().Overlaps(p) }) {
			return true
		}
	}
	return false
}

// isPublic reports whether hosts on the Internet may have the address. Documentation prefixes count: tests use them.
func isPublic(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// clientOf returns an address of the network that is in no smaller one of the others, if there is one among those tried.
func clientOf(p netip.Prefix, others []ClientNetwork) netip.Addr {
	first := p.Addr()
	if p.IsSingleIP() {
		return first
	}
	candidates := []netip.Addr{first.Next()}
	for _, o := range others {
		if next := lastAddr(o.Prefix).Next(); o.Prefix.Bits() > p.Bits() && p.Contains(next) {
			candidates = append(candidates, next)
		}
	}
	for _, c := range candidates {
		if !slices.ContainsFunc(others, func(o ClientNetwork) bool { return o.Prefix.Bits() > p.Bits() && o.Prefix.Contains(c) }) {
			return c
		}
	}
	return candidates[0]
}

// lastAddr returns the last address of the network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
