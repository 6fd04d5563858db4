package uplinks

import "net/netip"

// SourceAddr returns the link's address for packets of the host: the first permanent global address, else a temporary one,
// else a deprecated one, else the zero Addr.
func (l Link) SourceAddr(f Family) netip.Addr {
	return l.bestAddr(f, func(netip.Prefix) bool { return true }).Prefix.Addr()
}

// PathSource returns the source address of the host's own packets by a default route with the next hop: that of the route,
// else SourceAddr.
func (l Link) PathSource(hop NextHop) netip.Addr {
	if a := l.defaultSource(hop); a.IsValid() {
		return a
	}
	return l.SourceAddr(hop.Family)
}

// defaultSource returns the source address of a default route with the next hop, the zero Addr to let the kernel select
// one: that of the default route that the hop is from, else the address in whose network the gateway is. Without a gateway
// that is any address of the link.
//
// In IPv6 the kernel selects by the destination too (RFC 6724), which a deprecated or unique local address (RFC 4193) in the
// gateway's network must not preclude. But it prefers an address of another link to a deprecated one of this link
// (net/ipv6/addrconf.c, IPV6_SADDR_RULE_PREFERRED), so that a link without a better one needs a source address.
func (l Link) defaultSource(hop NextHop) netip.Addr {
	if hop.Src.IsValid() {
		return hop.Src
	}
	ofGateway := l.bestAddr(hop.Family, func(p netip.Prefix) bool { return !hop.Gateway.IsValid() || p.Contains(hop.Gateway) })
	if hop.Family == IPv4 {
		return ofGateway.Prefix.Addr()
	}
	best := l.bestAddr(hop.Family, func(netip.Prefix) bool { return true })
	public := l.bestAddr(hop.Family, func(p netip.Prefix) bool { return !p.Addr().IsPrivate() })
	switch {
	case best.Deprecated && !ofGateway.Prefix.IsValid():
		return best.Prefix.Addr()
	case ofGateway.Deprecated && !best.Deprecated, ofGateway.Prefix.Addr().IsPrivate() && public.Prefix.IsValid():
		return netip.Addr{}
	}
	return ofGateway.Prefix.Addr()
}

// bestAddr returns the first permanent address of the family whose prefix match accepts, else a temporary one, else a
// deprecated one, else the zero Addr. It omits link-local and tentative addresses.
func (l Link) bestAddr(f Family, match func(netip.Prefix) bool) (best Addr) {
	for _, a := range l.Addrs {
		if FamilyOf(a.Prefix.Addr()) != f || a.LinkLocal || a.Tentative || !match(a.Prefix) {
			continue
		}
		if !best.Prefix.IsValid() || a.avoidance() < best.avoidance() {
			best = a
		}
	}
	return best
}

// avoidance returns the rank of the address as a source: the lowest is the best.
func (a Addr) avoidance() int {
	switch {
	case a.Deprecated:
		return 2
	case a.Temporary:
		return 1
	}
	return 0
}
