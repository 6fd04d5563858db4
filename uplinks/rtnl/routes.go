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

// routeQuery is which routes are asked for: those of a table, by a link, or both. The zero within is all.
type routeQuery struct {
	table uplinks.Table
	link  int
}

// includes reports whether what leads by the link is asked for.
func (in routeQuery) includes(link int) bool { return in.link == 0 || in.link == link }

// listRoutes has a family's routes taken, one by one, each time from anew when the list was interrupted.
func (h *Handle) listRoutes(ctx context.Context, f uplinks.Family, query routeQuery, reset func(), add func(*rawRoute)) error {
	return dump(ctx, f.String()+" routes", func() error {
		req := h.request(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(f))}})
		if query.table != 0 {
			req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(query.table))))
		}
		if query.link != 0 {
			req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(query.link))))
		}
		reset()
		return forEachReply(req, unix.RTM_NEWROUTE, func(m []byte) error {
			r, err := parseRoute(m, f)
			if err == nil {
				add(&r)
			}
			return err
		})
	})
}

// readRoutes reads a family's routes: what they say of links, and those that are ours or in our tables, wherever there is
// something to be filled in.
func (h *Handle) readRoutes(ctx context.Context, f uplinks.Family, query routeQuery, facts *uplinks.Facts, have *uplinks.State) error {
	var filter routeFilter
	err := h.listRoutes(ctx, f, query, func() { filter = newRouteFilter(f) }, func(r *rawRoute) {
		if h.relevant(r) {
			filter.add(r)
		}
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

// isOwnOrInOwnTable reports whether a route is ours or stands in one of our tables.
func (h *Handle) isOwnOrInOwnTable(r *rawRoute) bool {
	return r.protocol == uplinks.Protocol || h.isOwnTable(r.table)
}

func (h *Handle) isOwnTable(t uplinks.Table) bool {
	base := uplinks.Table(h.tableBase.Load())
	return base != 0 && t > base && t <= base+marks.MaxID
}

// relevant keeps a full routing table of somebody else's out of memory.
func (h *Handle) relevant(r *rawRoute) bool {
	return h.isOwnOrInOwnTable(r) || r.routeType == uplinks.Unicast && (r.table == uplinks.MainTable || r.isDefault()) || r.refusesByDefault()
}

// addRoute counts on the kernel listing routes with one key in the order in which it asks them.
func addRoute(have *uplinks.State, f uplinks.Family, r *rawRoute, names map[int]string) {
	key := uplinks.RouteKey{Family: f, Table: r.table, Dst: r.dst, Metric: r.metric}
	for have.Routes[key] != (uplinks.Route{}) {
		key.Nth++
	}
	have.Routes[key] = toRoute(r, names)
}

func toRoute(r *rawRoute, names map[int]string) uplinks.Route {
	out := uplinks.Route{Type: r.routeType, Src: r.src, MTU: r.mtu, AdvMSS: r.advMSS, Protocol: r.protocol, TOS: r.tos, From: r.from, Other: r.unwritten()}
	// By its hop the kernel does not find a route by an object. An unreachable route of IPv6 it hangs on the loopback link.
	if r.nexthop == 0 {
		out.Gateway, out.OnLink = r.hop.via, r.hop.flags&unix.RTNH_F_ONLINK != 0
	}
	if r.nexthop == 0 && out.Type == uplinks.Unicast {
		out.Link = names[r.hop.link]
	}
	return out
}

// addRouteFacts notes what a route of others says about its links, or about the one for which it was asked.
func addRouteFacts(facts *uplinks.Facts, f uplinks.Family, r *rawRoute, query routeQuery, names map[int]string, ownTable bool) {
	if r.refusesByDefault() && facts.Scopes == nil {
		facts.UnreachableDefault[f] = true
	}
	if r.routeType != uplinks.Unicast || r.tos != 0 {
		return // by one for a type of service the others do not go
	}
	for hop := range r.hops() {
		if query.includes(hop.link) {
			addHopFacts(facts, f, r, hop, names[hop.link], ownTable)
		}
	}
}

// addHopFacts notes what a hop says of its link. A route of several keeps the hops whose links are down, but none leads there.
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
			OnLink: hop.flags&unix.RTNH_F_ONLINK != 0, MTU: r.mtu, AdvMSS: r.advMSS, Preference: routerPreference(r.pref),
			Dynamic: r.protocol == unix.RTPROT_DHCP || r.protocol == unix.RTPROT_RA,
		})
	case ownTable && hop.via.IsValid():
		l.ForeignPrefixes = append(l.ForeignPrefixes, r.dst)
	case main && !hop.via.IsValid() && !isLast(l.Connected, r.dst):
		l.Connected = append(l.Connected, r.dst)
	}
	facts.Links[link] = l
}

// isLast reports whether the prefix is the last one: the kernel lists routes to the same one after the other.
func isLast(all []netip.Prefix, p netip.Prefix) bool { return len(all) > 0 && all[len(all)-1] == p }

// compareDefaults puts main's default routes before those of other tables, and each table's in the kernel's order.
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

// routerPreference is what the kernel's two bits say (linux/icmpv6.h, ICMPV6_ROUTER_PREF_LOW): a signed number (RFC 4191, 2.1).
func routerPreference(bits uint8) int8 { return int8(bits<<6) >> 6 }
