package proof

import (
	"fmt"
	"net/netip"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// checkNeighbour compares the destination of the reply's frame with what the gateway itself replies, or else with the kernel's
// own entry.
func (t trace) checkNeighbour(r Request, e EgressObservation, w WireObservation) (c health.ProofCheck, wrong bool) {
	mac, heard := t.output.MACs[egress.LinkAddr{Link: e.Link, Addr: e.NextHop}]
	n, found := t.output.FindNeighbour(e.Link, e.NextHop)
	link := t.output.Links[e.Link]
	switch {
	case w.MAC == "":
		return c, false
	case found && n.State.Valid() && n.MAC != "" && w.MAC != n.MAC && !link.NoARP:
		return t.rewritten(r, "at the egress of "+link.Name, "destination "+egress.MACText(w.MAC)), true
	case !heard || w.MAC == mac:
		return c, false
	}
	c = health.ProofCheck{Result: health.No, Cause: health.NeighbourCause, Remedy: fmt.Sprintf("ip neigh del %s dev %s", e.NextHop, link.Name)}
	c.Detail = fmt.Sprintf("the reply to %s is sent to the hardware address %s, but the gateway %s has %s", r, egress.MACText(w.MAC), e.NextHop, egress.MACText(mac))
	switch {
	case link.NoARP:
		c.Cause, c.Remedy = health.ARPOff, "ip link set dev "+link.Name+" arp on"
		c.Detail += ": ARP and neighbour discovery are off on " + link.Name
	case found:
		c.Detail += ": the neighbour entry is " + t.output.NeighbourText(n)
	}
	return c, true
}

// neighboursFull returns that the kernel has no room for the neighbour entry of the gateway.
func (s Snapshot) neighboursFull(r Request, gateway netip.Addr) health.ProofCheck {
	limit := uplinks.NeighbourLimit(uplinks.FamilyOf(gateway))
	text := limit.String()
	if s.Values[limit] != "" {
		text = s.sysctl(limit)
	}
	return health.ProofCheck{Result: health.Unknown, Cause: health.NeighbourCause,
		Remedy: fmt.Sprintf("raise it, and gc_thresh2 and gc_thresh1 with it: sysctl -w %s=8192; or find what fills the table: ip -s neigh show nud all", limit),
		Detail: fmt.Sprintf("the reply to %s waits for the hardware address of the gateway %s, which the kernel does not resolve: its neighbour table is full (%s)", r, gateway, text)}
}
