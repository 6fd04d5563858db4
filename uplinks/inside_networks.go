package uplinks

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// insideNetworks returns, for each uplink's link, the parts of the networks of its addresses that main routes by links
// that are no uplinks: public addresses of a server in the LAN, for which this host answers ARP requests or neighbour
// solicitations, or a part of the network behind a router in the LAN.
func insideNetworks(s Settings, f Facts, family Family) map[string][]netip.Prefix {
	links := map[netip.Prefix][]string{} // of the uplinks' networks
	var lengths []int
	isUplink := map[string]bool{}
	for _, u := range s.Uplinks {
		isUplink[u.Link] = true
		l, _ := f.LinkOf(u)
		for n := range l.Networks() {
			if FamilyOf(n.Addr()) == family && !slices.Contains(links[n], u.Link) {
				links[n] = append(links[n], u.Link)
				lengths = append(lengths, n.Bits())
			}
		}
	}
	slices.Sort(lengths)
	lengths = slices.Compact(lengths)
	inside := map[string][]netip.Prefix{}
	for name, p := range f.routedNetworks() {
		if isUplink[name] || FamilyOf(p.Addr()) != family {
			continue
		}
		for _, length := range lengths {
			if length >= p.Bits() {
				break
			}
			for _, link := range links[netip.PrefixFrom(p.Addr(), length).Masked()] {
				inside[link] = append(inside[link], p)
			}
		}
	}
	for link, parts := range inside {
		inside[link] = sortedPrefixes(parts)
	}
	return inside
}

// sortedPrefixes returns the prefixes in order, each once.
func sortedPrefixes(all []netip.Prefix) []netip.Prefix {
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all)
}

// joined returns the values as one text, with the separator between them.
func joined[T fmt.Stringer](all []T, separator string) string {
	return strings.Join(texts(all), separator)
}

// texts returns each value as text.
func texts[T fmt.Stringer](all []T) []string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = v.String()
	}
	return words
}

// Networks returns the networks of the link's addresses, except link-local ones and single addresses.
func (l Link) Networks() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, a := range l.Addrs {
			if !a.LinkLocal && !a.Prefix.IsSingleIP() && !yield(a.Prefix.Masked()) {
				return
			}
		}
	}
}

// routedNetworks returns main's routes, except default routes and those of a VRF's links, each with its link.
func (f Facts) routedNetworks() iter.Seq2[string, netip.Prefix] {
	return func(yield func(string, netip.Prefix) bool) {
		for name, l := range f.Links {
			for _, c := range l.Connected {
				if l.VRF == 0 && !yield(name, c.Dst) {
					return
				}
			}
		}
		for _, r := range f.GatewayRoutes {
			if !IsDefaultRoute(r.Dst) && !yield(r.Link, r.Dst) {
				return
			}
		}
	}
}

// movesInsideNetwork reports whether a partial observation changes routes of the link to a part of another link's network.
func (f Facts) movesInsideNetwork(part Facts, link string) bool {
	before, after := f.networksBy(link), part.networksBy(link)
	if slices.Equal(before, after) {
		return false
	}
	changed := func(p netip.Prefix) bool { return slices.Contains(before, p) != slices.Contains(after, p) }
	for _, p := range slices.Concat(before, after) {
		if changed(p) && f.isPartOfNetwork(p, link) {
			return true
		}
	}
	return false
}

// networksBy returns the networks that main routes by the link.
func (f Facts) networksBy(link string) (all []netip.Prefix) {
	for _, c := range f.Links[link].Connected {
		all = append(all, c.Dst)
	}
	for _, r := range f.GatewayRoutes {
		if r.Link == link {
			all = append(all, r.Dst)
		}
	}
	return all
}

// isPartOfNetwork reports whether the prefix is a part of a network of an address of another link.
func (f Facts) isPartOfNetwork(p netip.Prefix, except string) bool {
	for name, l := range f.Links {
		for n := range l.Networks() {
			if name != except && n.Bits() < p.Bits() && n.Contains(p.Addr()) {
				return true
			}
		}
	}
	return false
}
