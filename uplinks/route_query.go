package uplinks

import (
	"net/netip"

	"replypath/marks"
)

// RouteQuery asks the kernel which way a packet would go.
type RouteQuery struct {
	From, To netip.Addr
	Mark     marks.Mark
	IIF      int // the index of the link that it comes in on; 0: it is the host's own
}

// RouteDecision is where the kernel would send a packet.
type RouteDecision struct {
	Local   bool // to the host itself
	Link    int  // the index of the link that it would leave by
	Gateway netip.Addr
	Table   Table
	Err     error // why it would go nowhere
}
