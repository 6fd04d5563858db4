package proof

import (
	"fmt"
	"net/netip"

	"replypath/health"
	"replypath/uplinks/egress"
)

// InsideNeighbour is the neighbour entry by which the kernel sends packets to a host inside, and the raw hardware address from
// which that neighbour itself replied.
type InsideNeighbour struct {
	Entry egress.Neighbour
	MAC   string
}

// SilentInside returns the hosts inside to which requests were forwarded that got no reply, with the path of one such request.
func (g Traces) SilentInside(requests []Request) map[netip.Addr]health.Path {
	silent := map[netip.Addr]health.Path{}
	for _, r := range requests {
		if t := g.of(r); t.reached(ForwardEnd) && !t.reached(ReplyPrerouting) && len(t.egress) == 0 && !t.reached(RequestEgress) {
			silent[t.deliveredTo().Addr()] = r.Path
		}
	}
	return silent
}

// wrongInside returns that a request was sent to another hardware address than the host inside has.
func (t trace) wrongInside(r Request) (c health.ProofCheck, wrong bool) {
	if t.output == nil || !t.reached(ForwardEnd) {
		return c, false
	}
	host := t.deliveredTo().Addr()
	n, heard := t.output.Inside[host]
	if !heard || n.MAC == n.Entry.MAC {
		return c, false
	}
	return health.ProofCheck{Result: health.No, Cause: health.NeighbourCause, Remedy: fmt.Sprintf("ip neigh del %s dev %s", n.Entry.Addr, t.output.LinkName(n.Entry.Link)),
		Detail: fmt.Sprintf("%s gets no reply: it is sent to the hardware address %s, but %s has %s: the neighbour entry is %s", r, egress.MACText(n.Entry.MAC),
			n.Entry.Addr, egress.MACText(n.MAC), t.output.NeighbourText(n.Entry))}, true
}
