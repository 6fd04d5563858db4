package rtnl

import (
	"fmt"
	"net/netip"
	"strings"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// listed is a route as the kernel tells it. The library makes 2.7 KiB and several objects of one, which a full routing
// table of somebody else's multiplies by a million, and forgets nexthop objects and the preference of routers.
type listed struct {
	family   uplinks.Family
	table    uplinks.Table
	kind     uplinks.RouteType
	protocol uint8
	scope    uint8
	tos      uint8
	dst      netip.Prefix
	from     netip.Prefix // only for packets from there; not valid: for all (IPv6)
	metric   uint32
	src      netip.Addr
	mtu      uint32
	advMSS   uint32
	pref     uint8
	nexthop  uint32 // the number of a nexthop object; 0: none
	hop      hop
	more     []hop  // in the place of hop, of a route that has several
	odd      uint64 // the numbers of attributes that are not read, as bits
}

// Attributes and values that the libraries have no names for (linux/rtnetlink.h).
const (
	rtaNexthop = 30 // RTA_NH_ID
	rtaPad     = 24
)

// readListed reads a route's message of a family, without its header.
func readListed(m []byte, f uplinks.Family) (r listed, err error) {
	if len(m) < unix.SizeofRtMsg {
		return r, fmt.Errorf("a route of %d bytes: %w", len(m), unix.EBADMSG)
	}
	header := nl.DeserializeRtMsg(m)
	r = listed{family: f, table: uplinks.Table(header.Table), kind: uplinks.RouteType(header.Type), protocol: header.Protocol,
		scope: header.Scope, tos: header.Tos, dst: f.Any(), hop: hop{flags: uint8(header.Flags), weight: 1}}
	for kind, v := range attributes(m[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			r.dst = v.prefix(header.Dst_len)
		case unix.RTA_SRC:
			if header.Src_len > 0 {
				r.from = v.prefix(header.Src_len)
			}
		case unix.RTA_TABLE:
			r.table = uplinks.Table(v.word())
		case unix.RTA_PRIORITY:
			r.metric = v.word()
		case unix.RTA_PREFSRC:
			r.src, _ = netip.AddrFromSlice(v)
		case unix.RTA_METRICS:
			r.readMetrics(v)
		case unix.RTA_PREF:
			r.pref = v.byte()
		case rtaNexthop:
			r.nexthop = v.word()
		case unix.RTA_MULTIPATH:
			r.more = readHops(v)
		case unix.RTA_CACHEINFO, rtaPad:
		default:
			if !r.hop.read(kind, v) {
				r.odd |= 1 << (kind & 63)
			}
		}
	}
	return r, nil
}

// readMetrics reads those that we write.
func (r *listed) readMetrics(v value) {
	for kind, v := range attributes(v) {
		switch kind {
		case unix.RTAX_MTU:
			r.mtu = v.word()
		case unix.RTAX_ADVMSS:
			r.advMSS = v.word()
		default:
			r.odd |= 1 << unix.RTA_METRICS
		}
	}
}

// forwards reports whether the route goes by a gateway.
func (r *listed) forwards() bool { return r.hop.via.IsValid() || len(r.more) > 0 }

// bare reports whether only the number of a nexthop object tells where the route leads.
func (r *listed) bare() bool { return r.nexthop != 0 && r.hop.link == 0 && len(r.more) == 0 }

// tells reports whether the route says something of its links that is kept to: where a default route leads, or who is
// reached directly.
func (r *listed) tells() bool {
	if r.isDefault() {
		return true
	}
	if r.bare() {
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
func (r *listed) isDefault() bool { return r.dst.Bits() == 0 }

// bars reports whether main refuses by this route what it has no other for. A look-up ends there: no suppressor takes
// a refusal for "no route" (net/core/fib_rules.c, fib_rules_lookup).
func (r *listed) bars() bool {
	refusal := r.kind == unix.RTN_UNREACHABLE || r.kind == unix.RTN_BLACKHOLE || r.kind == unix.RTN_PROHIBIT
	return refusal && r.table == uplinks.MainTable && r.isDefault()
}

// rest is what we never write of a route, or empty.
func (r *listed) rest() string {
	var w []string
	add := func(odd bool, format string, value any) {
		if odd {
			w = append(w, fmt.Sprintf(format, value))
		}
	}
	add(r.scope != r.usualScope(), "scope %d", r.scope)
	add(r.pref != 0, "pref %d", r.pref)
	add(r.nexthop != 0, "nhid %d", r.nexthop)
	add(len(r.more) > 0, "nexthops %v", r.more)
	add(r.odd != 0, "attributes %#x", r.odd)
	return strings.Join(w, " ")
}

// usualScope is the one that goes with a route like this: IPv4 needs "link" where there is no gateway, IPv6 has none.
func (r *listed) usualScope() uint8 {
	if r.family == uplinks.IPv4 && r.kind == uplinks.Unicast && !r.forwards() {
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}
