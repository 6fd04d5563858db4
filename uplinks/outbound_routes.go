package uplinks

import "replypath/marks"

// addRoutes adds the tables of the policies.
func (o outbound) addRoutes(want State) {
	for _, p := range o.Outbound.Policies {
		table := o.PolicyTable(p.Name)
		if route, ok := o.defaultRoute(o.Choose(p, o.facts, o.verdicts, o.family)); ok {
			want.Routes[RouteKey{Family: o.family, Table: table, Dst: o.family.DefaultPrefix(), Metric: o.family.metric()}] = route
		}
		if refusal, refuses := p.LastResort.routeType(); refuses {
			want.Routes[RouteKey{Family: o.family, Table: table, Dst: o.family.DefaultPrefix(), Metric: LastMetric}] = Route{Type: refusal, Protocol: Protocol}
		}
	}
}

// defaultRoute returns the route of a choice. With several next hops the kernel takes the source address of the host's own
// packets from the hop that it chooses: a route with one source would send it by the others too.
func (o outbound) defaultRoute(c Choice) (Route, bool) {
	var hops []Hop
	var last Route
	for _, m := range c.Members {
		u, _ := o.uplink(m.Uplink)
		hop, _ := o.hopOf(u, o.facts, o.family)
		l, _ := o.facts.LinkOf(u)
		hops = append(hops, Hop{Gateway: hop.Gateway, Link: l.Name, Weight: m.Weight, OnLink: hop.OnLink})
		last = Route{Type: Unicast, Gateway: hop.Gateway, Link: l.Name, Src: l.defaultSource(hop), OnLink: hop.OnLink, Metrics: hop.Metrics, Protocol: Protocol}
	}
	if len(hops) < 2 {
		return last, len(hops) == 1
	}
	return Route{Type: Unicast, Protocol: Protocol, Hops: marks.NewList(hops...)}, true
}

// uplink returns the uplink of the name.
func (o outbound) uplink(name string) (Uplink, bool) {
	for _, u := range o.Uplinks {
		if u.Name == name {
			return u, true
		}
	}
	return Uplink{}, false
}
