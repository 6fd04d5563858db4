package uplinks

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"replypath/marks"
)

// RouteKey identifies a route in the kernel. Nth counts routes that are equal in the other fields, in the order in which the
// kernel evaluates them; the first wins.
type RouteKey struct {
	Family Family
	Table  Table
	Dst    netip.Prefix
	Metric uint32
	Nth    int
}

// Route is a route in one of replypath's tables. It is comparable by ==.
type Route struct {
	Type     RouteType
	Protocol uint8      // Protocol; another number: a foreign route
	TOS      uint8      // type of service that it applies to; 0: any
	OnLink   bool       // RTNH_F_ONLINK: the gateway is in no connected prefix of the link
	Gateway  netip.Addr // invalid: none
	Link     string     // empty: unreachable
	Src      netip.Addr // invalid: selected by the kernel
	Metrics  marks.List[Metric]
	Hops     marks.List[Hop] // in order, of a multipath route, which has no Gateway and Link
	From     netip.Prefix    // source prefix that it applies to (IPv6); invalid: any
	Other    string          // further attributes, which replypath never writes
}

// RouteType is the type of a route, as in rtnetlink(7), rtm_type.
type RouteType uint8

// The types that replypath writes.
const (
	Unicast     RouteType = 1
	Local       RouteType = 2
	Blackhole   RouteType = 6
	Unreachable RouteType = 7
	Prohibit    RouteType = 8
)

// routeTypes has the words of ip-route(8) for the types that replypath writes, except Unicast.
var routeTypes = map[RouteType]string{Local: "local", Blackhole: "blackhole", Unreachable: "unreachable", Prohibit: "prohibit"}

// metric returns the metric of the routes in an uplink's table, other than the last resort.
func (f Family) metric() uint32 {
	if f == IPv6 {
		return metric6
	}
	return metric4
}

// spec returns the route as arguments of ip-route(8), without the command.
func (r Route) spec(k RouteKey) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if word := routeTypes[r.Type]; word != "" {
		add("%s", word)
	} else if r.Type != Unicast {
		add("type %d", r.Type)
	}
	if k.Dst == k.Family.DefaultPrefix() {
		add("default")
	} else {
		add("%s", k.Dst)
	}
	if r.Gateway.IsValid() {
		via := ""
		if FamilyOf(r.Gateway) != k.Family {
			via = "inet6 "
		}
		add("via %s%s", via, r.Gateway)
	}
	if r.Link != "" {
		add("dev %s", r.Link)
	}
	if r.From.IsValid() {
		add("from %s", r.From)
	}
	if r.TOS != 0 {
		add("tos %#x", r.TOS)
	}
	if k.Family == IPv4 && r.Type == Unicast && !r.Gateway.IsValid() && r.Hops.IsEmpty() && r.Other == "" {
		add("scope link")
	}
	if r.Src.IsValid() {
		add("src %s", r.Src)
	}
	add("table %s", k.Table)
	if k.Metric != 0 {
		add("metric %d", k.Metric)
	}
	for _, m := range r.Metrics.Values() {
		add("%s", m.spec())
	}
	if r.OnLink {
		add("onlink")
	}
	add("protocol %d", r.Protocol)
	for _, h := range r.Hops.Values() {
		add("%s", h.spec(k.Family))
	}
	return strings.Join(w, " ")
}

// compareRoutes sorts a table's connected prefixes before the routes through their gateways, which the kernel requires.
func compareRoutes(a, b *RouteKey) int {
	if a.Family != b.Family || a.Table != b.Table {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Table, b.Table))
	}
	return cmp.Or(
		-cmp.Compare(a.Dst.Bits(), b.Dst.Bits()),
		a.Dst.Addr().Compare(b.Dst.Addr()),
		cmp.Compare(a.Metric, b.Metric),
		cmp.Compare(a.Nth, b.Nth),
	)
}
