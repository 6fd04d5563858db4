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
}

// maxClientNetworks bounds the networks of a family, each of which is looked up for each path.
const maxClientNetworks = 8

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
	add := func(p netip.Prefix, table uplinks.Table) {
		if p.IsValid() && p.Bits() > 0 && !holdsHost(f, p) && (table != 0 || isPublic(p.Addr())) {
			all = append(all, ClientNetwork{Prefix: p.Masked(), Table: table})
		}
	}
	for _, r := range s.Routes {
		_, own := uplinkTables[r.Table]
		leaves := slices.ContainsFunc(r.Hops, func(h rpdb.Hop) bool { return isUplink[h.Link] })
		switch banned := r.Table == uplinks.MainTable && r.Dst.IsSingleIP(); {
		case own:
			add(r.Dst, r.Table)
		case !banned && (r.Type != uplinks.Unicast || leaves):
			add(r.Dst, 0)
		}
	}
	for _, r := range s.Rules {
		if r.Protocol != uplinks.Protocol && r.Protocol != kernelProtocol && !r.Not {
			add(r.From, 0)
			add(r.To, 0)
		}
	}
	for _, p := range s.Policies {
		if p.Block {
			add(p.From, 0)
			add(p.To, 0)
		}
	}
	slices.SortFunc(all, func(a, b ClientNetwork) int {
		ofUplink := func(n ClientNetwork) int { return map[bool]int{true: 1}[n.Table == 0] }
		return cmp.Or(cmp.Compare(ofUplink(a), ofUplink(b)), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()), a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Table, b.Table))
	})
	all = slices.Compact(all)
	all = all[:min(maxClientNetworks, len(all))]
	for i := range all {
		all[i].Client = clientOf(all[i].Prefix, all)
	}
	return all
}

// holdsHost reports whether an address of the host, or a network on one of its links, is in the network, or the network in that.
func holdsHost(f uplinks.Facts, p netip.Prefix) bool {
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
