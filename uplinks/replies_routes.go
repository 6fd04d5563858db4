package uplinks

import (
	"maps"
	"net/netip"
)

// addUplinkRoutes adds the routes of the uplink's table, in both families.
func addUplinkRoutes(want State, s Settings, f Facts, u Uplink) {
	l, _ := f.LinkOf(u)
	for _, family := range f.Families() {
		if kept, is := f.Kept[PathKey{u.Name, family}]; is {
			maps.Copy(want.Routes, kept)
		} else {
			addTableRoutes(want, s, l, u, family)
		}
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
			want.Routes[key] = Route{Type: Unicast, Gateway: hop.Gateway, Link: l.Name, Src: l.defaultSource(hop),
				OnLink: hop.OnLink, Metrics: hop.Metrics, Protocol: Protocol}
		}
	}
	if u.WhenDown == Hold {
		key := RouteKey{Family: family, Table: table, Dst: family.DefaultPrefix(), Metric: LastMetric}
		want.Routes[key] = Route{Type: Unreachable, Protocol: Protocol}
	}
}

// addConnectedRoutes adds the link's connected prefixes to its uplink's table, with main's source address.
func addConnectedRoutes(want State, l Link, table Table, family Family) {
	for _, c := range l.Connected {
		if FamilyOf(c.Dst.Addr()) != family {
			continue
		}
		key := RouteKey{Family: family, Table: table, Dst: c.Dst, Metric: family.metric()}
		want.Routes[key] = Route{Type: Unicast, Link: l.Name, Src: c.Src, Protocol: Protocol}
	}
}

// NextHop returns the next hop of the uplink's default route, and false if none is known: the configured gateway, or
// with "auto" that of the link's first default route. A point-to-point link with an address needs neither.
func (l Link) NextHop(g Gateway, family Family) (NextHop, bool) {
	if !g.Auto {
		return l.configuredNextHop(g.Addr, family), true
	}
	for _, hop := range l.Defaults {
		if hop.Family == family {
			hop.OnLink = hop.OnLink || hop.Gateway.IsValid() && !l.IsOnLink(hop.Gateway)
			return hop, true
		}
	}
	return NextHop{Family: family}, l.PointToPoint && l.SourceAddr(family).IsValid()
}

// configuredNextHop returns the next hop by a configured gateway, with the source address and the metrics of the first
// default route by that gateway. On a point-to-point link a default route without gateway leads to the same router.
func (l Link) configuredNextHop(gateway netip.Addr, family Family) NextHop {
	configured := NextHop{Family: family, Gateway: gateway, OnLink: !l.IsOnLink(gateway)}
	for _, hop := range l.Defaults {
		if hop.Family == family && (hop.Gateway == gateway || l.PointToPoint && !hop.Gateway.IsValid()) {
			configured.Src, configured.Metrics = hop.Src, hop.Metrics
			break
		}
	}
	return configured
}
