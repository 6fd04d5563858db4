package uplinks

import (
	"net/netip"

	"replypath/marks"
)

// RouteQuery is a packet for which the kernel is asked for a route (RTM_GETROUTE).
type RouteQuery struct {
	From, To netip.Addr
	Mark     marks.Mark
	IIF      int // index of the ingress link; 0: the host sends the packet
	Flow
	AllHops bool // read all next hops of the route
}

// Flow has what only rules with selectors for it look at in a packet (ip-rule(8)). The zero Flow is a datagram of root without ports.
type Flow struct {
	Proto        uint8 // IPPROTO_*; 0: the kernel assumes UDP
	Sport, Dport uint16
	TOS          uint8  // the whole byte
	UID          uint32 // the owner of the socket; 0 for packets that are forwarded
}

// RouteDecision is the kernel's answer to a RouteQuery.
type RouteDecision struct {
	Local   bool // delivered to the host itself
	Link    int  // index of the egress link
	Gateway netip.Addr
	Table   Table
	Err     error // why the packet has no route
	// Other is the index of another link that a next hop of the route leads to, which a hash of the packet may choose; only with AllHops.
	Other int
}
