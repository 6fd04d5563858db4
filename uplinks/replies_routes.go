package uplinks

import "net/netip"

// addUplinkRoutes adds the routes of the uplink's table, in both families.
func addUplinkRoutes(want State, s Settings, f Facts, u Uplink) {
	l, _ := f.LinkOf(u)
	for _, family := range f.Families() {
		addTableRoutes(want, s, l, u, family)
	}
}

// addTableRoutes adds the routes of the uplink's table in one family: its connected prefixes, the default route and, with
// Hold, an unreachable default route as a last resort, so that no reply leaves by another uplink.
func addTableRoutes(want State, s Settings, l Link, u Uplink, family Family) {
	if !u.Manages(family) {
		return
	}
	table := s.Table(u)
	if l.Up && !(family == IPv6 && l.NoIPv6) {
		addConnectedRoutes(want, l, table, family)
		if hop, ok := l.NextHop(u.Gateway(family), family); ok && (l.Carrier || u.WhenDown == Hold) {
			key := RouteKey{Family: family, Table: table, Dst: family.DefaultPrefix(), Metric: family.metric()}
			want.Routes[key] = Route{Type: Unicast, Gateway: hop.Gateway, Link: l.Name, Src: l.SourceAddr(family),
				OnLink: hop.OnLink, MTU: hop.MTU, AdvMSS: hop.AdvMSS, Protocol: Protocol}
		}
	}
	if u.WhenDown == Hold {
		key := RouteKey{Family: family, Table: table, Dst: family.DefaultPrefix(), Metric: LastMetric}
		want.Routes[key] = Route{Type: Unreachable, Protocol: Protocol}
	}
}

// addConnectedRoutes adds the link's connected prefixes to its uplink's table. An IPv4 route needs a source address; in
// IPv6 the kernel selects it (RFC 6724).
func addConnectedRoutes(want State, l Link, table Table, family Family) {
	for _, p := range l.Connected {
		if FamilyOf(p.Addr()) != family {
			continue
		}
		key := RouteKey{Family: family, Table: table, Dst: p, Metric: family.metric()}
		r := Route{Type: Unicast, Link: l.Name, Protocol: Protocol}
		if family == IPv4 {
			r.Src = l.sourceFor(key)
		}
		want.Routes[key] = r
	}
}

// sourceFor returns the link's first address in the route's prefix, else its SourceAddr.
func (l Link) sourceFor(k RouteKey) netip.Addr {
	for _, a := range l.Addrs {
		if k.Dst.Contains(a.Prefix.Addr()) {
			return a.Prefix.Addr()
		}
	}
	return l.SourceAddr(k.Family)
}

// NextHop returns the next hop of the uplink's default route, and false if none is known: the configured gateway, or
// with "auto" that of the link's first default route. A point-to-point link with an address needs neither.
func (l Link) NextHop(g Gateway, family Family) (NextHop, bool) {
	if g.Auto {
		for _, hop := range l.Defaults {
			if hop.Family == family {
				hop.OnLink = hop.OnLink || hop.Gateway.IsValid() && !l.isOnLink(hop.Gateway)
				return hop, true
			}
		}
		return NextHop{Family: family}, l.PointToPoint && l.SourceAddr(family).IsValid()
	}
	return NextHop{Family: family, Gateway: g.Addr, OnLink: !l.isOnLink(g.Addr)}, true
}
