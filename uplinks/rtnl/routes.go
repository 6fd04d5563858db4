package rtnl

import (
	"cmp"
	"context"
	"net/netip"
	"reflect"
	"slices"

	"replypath/marks"
	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readRoutes reads a family's routes that are like one in table or link, whichever is given: what they say of links, and
// those that are ours or in our tables, wherever there is something to be filled in.
func (h *Handle) readRoutes(ctx context.Context, f uplinks.Family, like netlink.Route, facts *uplinks.Facts, have *uplinks.State) error {
	var routes []netlink.Route
	err := dump(ctx, f.String()+" routes", func() error {
		routes = routes[:0]
		return h.h.RouteListFilteredIter(number(f), &like, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			if h.concerns(r) {
				routes = append(routes, r)
			}
			return true
		})
	})
	if err == nil && facts != nil {
		err = h.fillRoutes(ctx, f, routes)
	}
	if err != nil {
		return err
	}
	for _, r := range routes {
		if have != nil && h.inTables(r) {
			addRoute(have, f, r, h.names)
		}
		if facts != nil && r.Protocol != uplinks.Protocol {
			addFacts(facts, f, r, h.names)
		}
	}
	if facts == nil {
		return nil
	}
	for name, l := range facts.Links {
		slices.SortStableFunc(l.Defaults, preferred)
		facts.Links[name] = l
	}
	return nil
}

// inTables reports whether a route is ours or stands in one of our tables.
func (h *Handle) inTables(r netlink.Route) bool {
	return r.Protocol == uplinks.Protocol || h.ourTable(uplinks.Table(r.Table))
}

func (h *Handle) ourTable(t uplinks.Table) bool {
	base := uplinks.Table(h.tableBase.Load())
	return base != 0 && t > base && t <= base+marks.MaxID
}

// concerns keeps a full routing table of somebody else's out of memory.
func (h *Handle) concerns(r netlink.Route) bool {
	return h.inTables(r) || r.Type == unix.RTN_UNICAST && (r.Table == unix.RT_TABLE_MAIN || isDefault(r)) || bars(r)
}

// bars reports whether main refuses by this route what it has no other for. A look-up ends there: no suppressor takes
// a refusal for "no route" (net/core/fib_rules.c, fib_rules_lookup).
func bars(r netlink.Route) bool {
	refusal := r.Type == unix.RTN_UNREACHABLE || r.Type == unix.RTN_BLACKHOLE || r.Type == unix.RTN_PROHIBIT
	return refusal && r.Table == unix.RT_TABLE_MAIN && isDefault(r)
}

func isDefault(r netlink.Route) bool { return r.Dst == nil || prefix(r.Dst).Bits() == 0 }

// addRoute counts on the kernel listing routes with one key in the order in which it asks them.
func addRoute(have *uplinks.State, f uplinks.Family, r netlink.Route, names map[int]string) {
	key := uplinks.RouteKey{Family: f, Table: uplinks.Table(r.Table), Dst: destination(f, r), Metric: uint32(r.Priority)}
	for have.Routes[key] != (uplinks.Route{}) {
		key.Nth++
	}
	have.Routes[key] = route(r, names)
}

func destination(f uplinks.Family, r netlink.Route) netip.Prefix {
	if r.Dst == nil {
		return f.Any()
	}
	return prefix(r.Dst)
}

func route(r netlink.Route, names map[int]string) uplinks.Route {
	out := uplinks.Route{
		Type:     uplinks.RouteType(r.Type),
		Gateway:  gateway(r.Gw, r.Via),
		Src:      addr(r.Src),
		OnLink:   r.Flags&unix.RTNH_F_ONLINK != 0,
		MTU:      uint32(r.MTU),
		AdvMSS:   uint32(r.AdvMSS),
		Protocol: uint8(r.Protocol),
		Other:    rest(r),
	}
	// The kernel hangs an unreachable route of IPv6 on the loopback link.
	if out.Type == uplinks.Unicast {
		out.Link = names[r.LinkIndex]
	}
	return out
}

// rest is what we never write of a route, or empty.
func rest(r netlink.Route) string {
	onward := r
	r.LinkIndex, r.Dst, r.Src, r.Gw, r.Via, r.Protocol, r.Priority = 0, nil, nil, nil, nil, 0, 0
	r.Family, r.Table, r.Type, r.MTU, r.AdvMSS, r.Flags = 0, 0, 0, 0, 0, 0
	if r.Scope == scope(onward) {
		r.Scope = 0
	}
	if reflect.DeepEqual(r, netlink.Route{}) {
		return ""
	}
	return r.String()
}

// scope is the one that goes with a route like this: IPv4 needs "link" where there is no gateway, IPv6 has none.
func scope(r netlink.Route) netlink.Scope {
	if r.Family == unix.AF_INET && r.Type == unix.RTN_UNICAST && r.Gw == nil && r.Via == nil && len(r.MultiPath) == 0 {
		return netlink.SCOPE_LINK
	}
	return netlink.SCOPE_UNIVERSE
}

// gateway is a route's next hop, which may be an IPv6 one on an IPv4 route (RFC 5549).
func gateway(gw []byte, via netlink.Destination) netip.Addr {
	if v, ok := via.(*netlink.Via); ok {
		return addr(v.Addr)
	}
	return addr(gw)
}

// addFacts notes what a route of others says about its links.
func addFacts(facts *uplinks.Facts, f uplinks.Family, r netlink.Route, names map[int]string) {
	if bars(r) && facts.Only == nil {
		facts.Barred[f] = true
	}
	if r.Type != unix.RTN_UNICAST {
		return
	}
	hops := r.MultiPath
	if len(hops) == 0 {
		hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw, Via: r.Via, Flags: r.Flags}}
	}
	for _, hop := range hops {
		addHop(facts, f, r, hop, names[hop.LinkIndex])
	}
}

func addHop(facts *uplinks.Facts, f uplinks.Family, r netlink.Route, hop *netlink.NexthopInfo, link string) {
	l, ok := facts.Links[link]
	if !ok {
		return
	}
	via := gateway(hop.Gw, hop.Via)
	main := r.Table == unix.RT_TABLE_MAIN
	if main && via.IsValid() {
		facts.Routed = append(facts.Routed, uplinks.Routed{Dst: destination(f, r), Gateway: via, Link: link})
	}
	switch {
	case isDefault(r):
		l.Defaults = append(l.Defaults, uplinks.NextHop{
			Family: f, Table: uplinks.Table(r.Table), Metric: uint32(r.Priority), Gateway: via,
			OnLink: hop.Flags&unix.RTNH_F_ONLINK != 0, MTU: uint32(r.MTU), AdvMSS: uint32(r.AdvMSS),
			Learnt: r.Protocol == unix.RTPROT_DHCP || r.Protocol == unix.RTPROT_RA,
		})
	case main && !via.IsValid() && !slices.Contains(l.Connected, destination(f, r)):
		l.Connected = append(l.Connected, destination(f, r))
	}
	facts.Links[link] = l
}

// preferred puts main's default routes before those of other tables, and each table's in the kernel's order.
func preferred(a, b uplinks.NextHop) int {
	other := func(h uplinks.NextHop) int {
		if h.Table == uplinks.MainTable {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Family, b.Family),
		cmp.Compare(other(a), other(b)),
		cmp.Compare(a.Table, b.Table),
		cmp.Compare(a.Metric, b.Metric),
	)
}
