package uplinks

import "net/netip"

// addUplinkRoutes adds the routes of the uplink's table, in both families.
func addUplinkRoutes(want State, s Settings, f Facts, u Uplink) {
	l, _ := f.LinkOf(u)
	for _, family := range f.Families() {
		addTableRoutes(want, s, l, u, family)
	}
}

// addTableRoutes adds what the uplink's table holds in the family: its connected prefixes, the way out, and, under hold, a
// refusal of what has no way out, so that a reply is never sent by another uplink.
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

// sourceFor is the link's first address in the route's prefix, or else the one that it would use anyway.
func (l Link) sourceFor(k RouteKey) netip.Addr {
	for _, a := range l.Addrs {
		if k.Dst.Contains(a.Prefix.Addr()) {
			return a.Prefix.Addr()
		}
	}
	return l.SourceAddr(k.Family)
}

// NextHop is the way out by the link: as written, or as the kernel's own routes tell. A point-to-point link needs no
// gateway and no route to learn it from.
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
