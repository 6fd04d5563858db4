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
}

// RouteDecision is the kernel's answer to a RouteQuery.
type RouteDecision struct {
	Local   bool // delivered to the host itself
	Link    int  // index of the egress link
	Gateway netip.Addr
	Table   Table
	Err     error // why the packet has no route
}
