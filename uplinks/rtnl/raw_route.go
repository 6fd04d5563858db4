package rtnl

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rawRoute is a route as the kernel tells it. The library makes 2.7 KiB and several objects of one, which a full routing
// table of somebody else's multiplies by a million, and forgets nexthop objects and the preference of routers.
type rawRoute struct {
	family      uplinks.Family
	table       uplinks.Table
	routeType   uplinks.RouteType
	protocol    uint8
	scope       uint8
	tos         uint8
	dst         netip.Prefix
	from        netip.Prefix // only for packets from there; not valid: for all (IPv6)
	metric      uint32
	src         netip.Addr
	mtu         uint32
	advMSS      uint32
	pref        uint8
	nexthop     uint32 // the number of a nexthop object; 0: none
	hop         hop
	multipath   []hop  // in the place of hop, of a route that has several
	unreadAttrs uint64 // the numbers of attributes that are not read, as bits
}

// Attributes and values that the libraries have no names for (linux/rtnetlink.h).
const (
	rtaNexthopID = 30 // RTA_NH_ID
	rtaPadding   = 24
)

// parseRoute reads a route's message of a family, without its header.
func parseRoute(m []byte, f uplinks.Family) (r rawRoute, err error) {
	if len(m) < unix.SizeofRtMsg {
		return r, fmt.Errorf("a route of %d bytes: %w", len(m), unix.EBADMSG)
	}
	header := nl.DeserializeRtMsg(m)
	r = rawRoute{family: f, table: uplinks.Table(header.Table), routeType: uplinks.RouteType(header.Type), protocol: header.Protocol,
		scope: header.Scope, tos: header.Tos, dst: f.DefaultPrefix(), hop: hop{flags: uint8(header.Flags), weight: 1}}
	for attrType, v := range attrs(m[unix.SizeofRtMsg:]) {
		switch attrType {
		case unix.RTA_DST:
			r.dst = v.prefix(header.Dst_len)
		case unix.RTA_SRC:
			if header.Src_len > 0 {
				r.from = v.prefix(header.Src_len)
			}
		case unix.RTA_TABLE:
			r.table = uplinks.Table(v.uint32())
		case unix.RTA_PRIORITY:
			r.metric = v.uint32()
		case unix.RTA_PREFSRC:
			r.src, _ = netip.AddrFromSlice(v)
		case unix.RTA_METRICS:
			r.parseMetrics(v)
		case unix.RTA_PREF:
			r.pref = v.uint8()
		case rtaNexthopID:
			r.nexthop = v.uint32()
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

// parseMetrics reads those that we write.
func (r *rawRoute) parseMetrics(v attrValue) {
	for attrType, v := range attrs(v) {
		switch attrType {
		case unix.RTAX_MTU:
			r.mtu = v.uint32()
		case unix.RTAX_ADVMSS:
			r.advMSS = v.uint32()
		default:
			r.unreadAttrs |= 1 << unix.RTA_METRICS
		}
	}
}

// hasGateway reports whether the route goes by a gateway.
func (r *rawRoute) hasGateway() bool { return r.hop.via.IsValid() || len(r.multipath) > 0 }

// hasOnlyNexthopID reports whether only the number of a nexthop object tells where the route leads.
func (r *rawRoute) hasOnlyNexthopID() bool {
	return r.nexthop != 0 && r.hop.link == 0 && len(r.multipath) == 0
}

// affectsLinks reports whether the route says something of its links that is kept to: where a default route leads, or who is
// reached directly.
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

// isDefault reports whether it is for all that nothing else is for.
func (r *rawRoute) isDefault() bool { return r.dst.Bits() == 0 }

// refusesByDefault reports whether main refuses by this route what it has no other for. A look-up ends there: no suppressor takes
// a refusal for "no route" (net/core/fib_rules.c, fib_rules_lookup).
func (r *rawRoute) refusesByDefault() bool {
	refusal := r.routeType == unix.RTN_UNREACHABLE || r.routeType == unix.RTN_BLACKHOLE || r.routeType == unix.RTN_PROHIBIT
	return refusal && r.table == uplinks.MainTable && r.isDefault()
}

// unwritten is what we never write of a route, or empty.
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
	add(len(r.multipath) > 0, "nexthops %v", r.multipath)
	add(r.unreadAttrs != 0, "attributes %#x", r.unreadAttrs)
	return strings.Join(parts, " ")
}

// defaultScope is the one that goes with a route like this: IPv4 needs "link" where there is no gateway, IPv6 has none.
func (r *rawRoute) defaultScope() uint8 {
	if r.family == uplinks.IPv4 && r.routeType == uplinks.Unicast && !r.hasGateway() {
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}
