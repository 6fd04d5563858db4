package rtnl

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/marks"
	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rawRoute is a route as the kernel sends it. The library allocates 2.7 KiB for one, too much for a full routing table in
// main with a million routes, and omits nexthop objects and router preferences.
type rawRoute struct {
	family      uplinks.Family
	table       uplinks.Table
	routeType   uplinks.RouteType
	protocol    uint8
	scope       uint8
	tos         uint8
	dst         netip.Prefix
	from        netip.Prefix // only for packets with this source; not valid: for all (IPv6)
	metric      uint32
	src         netip.Addr
	metrics     marks.List[uplinks.Metric]
	pref        uint8
	nexthop     uint32 // the ID of a nexthop object; 0: none
	hop         hop
	multipath   []hop  // the next hops of a multipath route, instead of hop
	unreadAttrs uint64 // a bit for each attribute that is not decoded
}

// Attributes that the library does not define (linux/rtnetlink.h).
const (
	rtaNexthopID = 30 // RTA_NH_ID
	rtaPadding   = 24
)

// parseRoute decodes a message about a route of the family, from behind its header on (struct rtmsg, and attributes).
func parseRoute(m []byte, f uplinks.Family) (r rawRoute, err error) {
	if len(m) < unix.SizeofRtMsg {
		return r, fmt.Errorf("a route of %d bytes: %w", len(m), unix.EBADMSG)
	}
	header := nl.DeserializeRtMsg(m)
	r = rawRoute{family: f, table: uplinks.Table(header.Table), routeType: uplinks.RouteType(header.Type), protocol: header.Protocol,
		scope: header.Scope, tos: header.Tos, dst: f.DefaultPrefix(), hop: hop{flags: uint8(header.Flags), weight: 1}}
	for attrType, v := range nlattr.All(m[unix.SizeofRtMsg:]) {
		switch attrType {
		case unix.RTA_DST:
			r.dst = v.Prefix(header.Dst_len)
		case unix.RTA_SRC:
			if header.Src_len > 0 {
				r.from = v.Prefix(header.Src_len)
			}
		case unix.RTA_TABLE:
			r.table = uplinks.Table(v.Uint32())
		case unix.RTA_PRIORITY:
			r.metric = v.Uint32()
		case unix.RTA_PREFSRC:
			r.src = v.Addr()
		case unix.RTA_METRICS:
			var complete bool
			if r.metrics, complete = parseMetrics(v); !complete {
				r.unreadAttrs |= 1 << unix.RTA_METRICS
			}
		case unix.RTA_PREF:
			r.pref = v.Uint8()
		case rtaNexthopID:
			r.nexthop = v.Uint32()
		case unix.RTA_MULTIPATH:
			r.multipath = parseMultipath(v)
		case unix.RTA_CACHEINFO, rtaPadding:
		default:
			if !r.hop.setAttr(attrType, v) {
				r.unreadAttrs |= 1 << (attrType & 63)
			}
		}
	}
	return r, nil
}

// hasGateway reports whether a next hop of the route may be a gateway.
func (r *rawRoute) hasGateway() bool { return r.hop.via.IsValid() || len(r.multipath) > 0 }

// hasOnlyNexthopID reports whether the message has the ID of a nexthop object instead of next hops.
func (r *rawRoute) hasOnlyNexthopID() bool {
	return r.nexthop != 0 && r.hop.link == 0 && len(r.multipath) == 0
}

// affectsLinks reports whether the route belongs to the facts about its links: it is a default route, or on the link.
func (r *rawRoute) affectsLinks() bool {
	if r.isDefault() {
		return true
	}
	if r.hasOnlyNexthopID() {
		return false
	}
	for h := range r.hops() {
		if !h.via.IsValid() {
			return true
		}
	}
	return false
}

// isDefault reports whether the route is a default route.
func (r *rawRoute) isDefault() bool { return r.dst.Bits() == 0 }

// refusesByDefault reports whether the route is an unreachable, blackhole or prohibit default route of main. A look-up ends
// there: no suppressor turns a refusal into "no route" (net/core/fib_rules.c, fib_rules_lookup).
func (r *rawRoute) refusesByDefault() bool {
	return r.refuses() && r.table == uplinks.MainTable && r.isDefault() && !r.from.IsValid()
}

// refuses reports whether the route is an unreachable, blackhole or prohibit route.
func (r *rawRoute) refuses() bool {
	return r.routeType == unix.RTN_UNREACHABLE || r.routeType == unix.RTN_BLACKHOLE || r.routeType == unix.RTN_PROHIBIT
}

// delegated returns the network that the route of main shows to be delegated to this host: it refuses what no link has of the
// network, or is a default route, or the refusal of one, for packets from there.
func (r *rawRoute) delegated() (p netip.Prefix, is bool) {
	switch {
	case r.table != uplinks.MainTable || r.family != uplinks.IPv6 || r.tos != 0 || r.protocol == uplinks.Protocol:
		return p, false
	case r.isDefault() && r.from.IsValid() && (r.refuses() || r.routeType == uplinks.Unicast):
		return r.from, uplinks.IsDelegable(r.from)
	}
	return r.dst, r.refuses() && !r.from.IsValid() && uplinks.IsDelegable(r.dst)
}

// unwritten returns the properties of the route that replypath never writes, or "" when there are none.
func (r *rawRoute) unwritten() string {
	var parts []string
	add := func(present bool, format string, value any) {
		if present {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add(r.scope != r.defaultScope(), "scope %d", r.scope)
	add(r.pref != 0, "pref %d", r.pref)
	add(r.nexthop != 0, "nhid %d", r.nexthop)
	add(len(r.multipath) > 0 && r.nexthop != 0, "nexthops %v", r.multipath)
	add(r.unreadAttrs != 0, "attributes %#x", r.unreadAttrs)
	return strings.Join(parts, " ")
}

// defaultScope returns the scope that replypath gives a route like this: IPv4 requires "link" without a gateway, IPv6 has no
// scopes.
func (r *rawRoute) defaultScope() uint8 {
	if r.family == uplinks.IPv4 && r.routeType == uplinks.Local {
		return unix.RT_SCOPE_HOST
	}
	if r.family == uplinks.IPv4 && r.routeType == uplinks.Unicast && !r.hasGateway() {
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}
