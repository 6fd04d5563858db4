package rtnl

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// routeQuery limits a dump of routes to a table, a link, a type, or several of them. The zero routeQuery is all routes.
type routeQuery struct {
	table uplinks.Table
	link  int
	kind  uplinks.RouteType
}

// includes reports whether routes by the link are part of the result.
func (in routeQuery) includes(link int) bool { return in.link == 0 || in.link == link }

// listRoutes calls add for each route of the family. It calls reset before the first one, and again when the dump was
// interrupted and starts over. An error of add ends it.
func (h *Handle) listRoutes(ctx context.Context, f uplinks.Family, query routeQuery, reset func(), add func(*rawRoute) error) error {
	return dump(ctx, f.String()+" routes", func() error {
		req := h.request(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(f)), Type: uint8(query.kind)}})
		if query.table != 0 {
			req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(query.table))))
		}
		if query.link != 0 {
			req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(query.link))))
		}
		reset()
		return forEachReply(req, unix.RTM_NEWROUTE, func(m []byte) error {
			r, err := parseRoute(m, f)
			if err != nil {
				return err
			}
			return add(&r)
		})
	})
}

// readRoutes reads the routes of a family: foreign routes with facts about links into facts, and routes that are ours or in
// our tables into have. Either may be nil.
func (h *Handle) readRoutes(ctx context.Context, f uplinks.Family, query routeQuery, facts *uplinks.Facts, have *uplinks.State) error {
	var filter routeFilter
	err := h.listRoutes(ctx, f, query, func() { filter = newRouteFilter(f) }, func(r *rawRoute) error {
		if h.relevant(r) {
			filter.add(r)
		}
		return nil
	})
	var nexthops map[uint32]nexthop
	if err == nil && facts != nil {
		nexthops, err = resolveNexthops(ctx, filter.routes)
	}
	if err != nil {
		return err
	}
	for i := range filter.routes {
		r := &filter.routes[i]
		if have != nil && h.isOwnOrInOwnTable(r) {
			addRoute(have, f, r, h.linkNames)
		}
		if facts != nil && r.protocol != uplinks.Protocol {
			h.trackedNexthops.track(r, nexthops)
			h.rememberDefaultTable(r)
			addRouteFacts(facts, f, r, query, h.linkNames, h.isOwnTable(r.table))
		}
	}
	if facts == nil {
		return nil
	}
	for link, n := range filter.omitted {
		if name := h.linkNames[link]; facts.Links[name].Index == link && query.includes(link) {
			facts.OmittedRoutes[name] += n
		}
	}
	for name, l := range facts.Links {
		slices.SortStableFunc(l.Defaults, compareDefaults)
		facts.Links[name] = l
	}
	return nil
}

// isOwnOrInOwnTable reports whether the route is ours or in one of our tables.
func (h *Handle) isOwnOrInOwnTable(r *rawRoute) bool {
	return r.protocol == uplinks.Protocol || h.isOwnTable(r.table)
}

// isOwnTable reports whether the table is one of ours: table base + an ID.
func (h *Handle) isOwnTable(t uplinks.Table) bool {
	base := uplinks.Table(h.tableBase.Load())
	return base != 0 && t > base && t <= base+marks.MaxID
}

// relevant reports whether the route is read at all. It keeps a full routing table of a routing daemon out of memory.
func (h *Handle) relevant(r *rawRoute) bool {
	if _, delegated := r.delegated(); delegated {
		return true
	}
	return h.isOwnOrInOwnTable(r) || r.routeType == uplinks.Unicast && (r.table == uplinks.MainTable || r.isDefault()) || r.refusesByDefault()
}

// addRoute adds the route to the state. The kernel lists routes with the same key in the order in which it evaluates them.
func addRoute(have *uplinks.State, f uplinks.Family, r *rawRoute, names map[int]string) {
	key := uplinks.RouteKey{Family: f, Table: r.table, Dst: r.dst, Metric: r.metric}
	for have.Routes[key] != (uplinks.Route{}) {
		key.Nth++
	}
	have.Routes[key] = toRoute(r, names)
}

// toRoute returns the route in the form in which package uplinks plans and writes routes.
func toRoute(r *rawRoute, names map[int]string) uplinks.Route {
	out := uplinks.Route{Type: r.routeType, Src: r.src, Metrics: r.metrics, Protocol: r.protocol, TOS: r.tos, From: r.from, Other: r.unwritten()}
	// The kernel does not find a route by a nexthop object by its next hop. It attaches an unreachable route of IPv6 to the
	// loopback link.
	if r.nexthop == 0 {
		out.Gateway, out.OnLink = r.hop.via, r.hop.flags&unix.RTNH_F_ONLINK != 0
	}
	if len(r.multipath) > 0 && r.nexthop == 0 {
		out.Hops = r.hopNames(names)
	} else if r.nexthop == 0 && (out.Type == uplinks.Unicast || out.Type == uplinks.Local) {
		out.Link = names[r.hop.link]
	}
	return out
}

// addRouteFacts adds the facts that a foreign route states about its links, or about the link of the query.
func addRouteFacts(facts *uplinks.Facts, f uplinks.Family, r *rawRoute, query routeQuery, names map[int]string, ownTable bool) {
	if facts.Scopes == nil {
		addRefusalFacts(facts, f, r, names)
	}
	if r.routeType != uplinks.Unicast || r.tos != 0 {
		return // packets with another type of service do not use it
	}
	for hop := range r.hops() {
		if query.includes(hop.link) {
			addHopFacts(facts, f, r, hop, names[hop.link], ownTable)
		}
	}
}

// addRefusalFacts adds the facts about the whole host that a route of main states.
func addRefusalFacts(facts *uplinks.Facts, f uplinks.Family, r *rawRoute, names map[int]string) {
	if r.refusesByDefault() {
		facts.UnreachableDefault[f] = true
	}
	if p, is := r.delegated(); is {
		d := uplinks.Delegated{Prefix: p}
		if r.routeType == uplinks.Unicast {
			d.Link = names[r.hop.link]
		}
		facts.Delegated = append(facts.Delegated, d)
	}
}

// addHopFacts adds the facts that a next hop states about its link. A multipath route keeps next hops by links that are
// down, but no packet uses them.
func addHopFacts(facts *uplinks.Facts, f uplinks.Family, r *rawRoute, hop hop, link string, ownTable bool) {
	l, ok := facts.Links[link]
	if !ok || !l.Up {
		return
	}
	main := r.table == uplinks.MainTable
	if main && hop.via.IsValid() {
		facts.GatewayRoutes = append(facts.GatewayRoutes, uplinks.GatewayRoute{Dst: r.dst, Gateway: hop.via, Link: link})
	}
	switch {
	case r.isDefault():
		l.Defaults = append(l.Defaults, uplinks.NextHop{
			Family: f, Table: r.table, Metric: r.metric, Gateway: hop.via,
			OnLink: hop.flags&unix.RTNH_F_ONLINK != 0, Src: r.src, Metrics: r.metrics, Preference: routerPreference(r.pref),
			Dynamic: r.protocol == unix.RTPROT_DHCP || r.protocol == unix.RTPROT_RA,
		})
	case ownTable && hop.via.IsValid():
		l.ForeignPrefixes = append(l.ForeignPrefixes, r.dst)
	case main && !hop.via.IsValid() && !isLast(l.Connected, r.dst):
		l.Connected = append(l.Connected, uplinks.Connected{Dst: r.dst, Src: r.src})
	}
	facts.Links[link] = l
}

// isLast reports whether the last route has the prefix: the kernel lists routes to the same prefix in a row.
func isLast(all []uplinks.Connected, p netip.Prefix) bool {
	return len(all) > 0 && all[len(all)-1].Dst == p
}

// compareDefaults orders default routes: main before other tables, and within a table as the kernel prefers them.
func compareDefaults(a, b uplinks.NextHop) int {
	afterMain := func(h uplinks.NextHop) int {
		if h.Table == uplinks.MainTable {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Family, b.Family),
		cmp.Compare(afterMain(a), afterMain(b)),
		cmp.Compare(a.Table, b.Table),
		cmp.Compare(a.Metric, b.Metric),
		cmp.Compare(b.Preference, a.Preference),
	)
}

// routerPreference decodes the two bits of a router preference, a signed number (RFC 4191, 2.1; linux/icmpv6.h,
// ICMPV6_ROUTER_PREF_LOW).
func routerPreference(bits uint8) int8 { return int8(bits<<6) >> 6 }
