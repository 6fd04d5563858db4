package rpdb

import (
	"net/netip"
	"syscall"

	"replypath/uplinks"
)

// Route is a route of any program.
type Route struct {
	Table    uplinks.Table
	Type     uplinks.RouteType
	Dst      netip.Prefix
	From     netip.Prefix // only for packets with this source; not valid: for all (IPv6)
	TOS      uint8        // only for packets with this type of service; 0: for all (IPv4)
	Metric   uint32
	Protocol uint8
	Src      netip.Addr // not valid: the kernel chooses
	Pref     Pref
	Nexthop  uint32 // the ID of a nexthop object; 0: none
	Hops     []Hop  // several for a multipath route; lo for an unreachable route of IPv6
}

// Hop is a next hop.
type Hop struct {
	Link   string
	Via    netip.Addr // not valid: the destination is on the link
	OnLink bool
	Dead   bool // the link is down, or lacks a carrier and has the sysctl ignore_routes_with_linkdown
	Failed bool // the gateway does not answer neighbour discovery
	Weight int
}

// Pref is the preference of an IPv6 router (RFC 4191).
type Pref uint8

// score returns the weight that the kernel gives the preference.
func (p Pref) score() int { return int(p^2) << 2 }

// Types of routes that package uplinks does not write (rtnetlink(7), rtm_type).
const (
	Local          uplinks.RouteType = 2
	Broadcast      uplinks.RouteType = 3
	Anycast        uplinks.RouteType = 4
	Multicast      uplinks.RouteType = 5
	BlackholeRoute uplinks.RouteType = 6
	ProhibitRoute  uplinks.RouteType = 8
	Throw          uplinks.RouteType = 9
)

// routeErrors has the errors of routes that lead nowhere (fib_props, fib6_prop).
var refusals = map[uplinks.RouteType]syscall.Errno{
	BlackholeRoute:      syscall.EINVAL,
	uplinks.Unreachable: syscall.EHOSTUNREACH,
	ProhibitRoute:       syscall.EACCES,
	Throw:               syscall.EAGAIN,
	10:                  syscall.EINVAL, // nat
	11:                  syscall.EINVAL, // xresolve
}
