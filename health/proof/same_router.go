package proof

import (
	"fmt"

	"replypath/health"
	"replypath/uplinks/egress"
)

// sameRouter returns the verdict on a reply to another gateway on the path's link that has the hardware address of the path's own, by
// which the request came in: the frame gets to that router, whichever of them it is meant for.
func (s Snapshot) sameRouter(r Request, t trace, e EgressObservation) (c health.ProofCheck, is bool) {
	p := r.Path
	if t.output == nil || !p.SharedLink || p.RouterMAC != "" || e.Link != p.Index || !p.Gateway.IsValid() {
		return c, false
	}
	own, known := t.output.FindNeighbour(p.Index, p.Gateway)
	other, found := t.output.FindNeighbour(p.Index, e.NextHop)
	if !known || !found || !own.State.Valid() || !other.State.Valid() || own.MAC == "" || own.MAC != other.MAC {
		return c, false
	}
	return health.ProofCheck{Result: health.Yes, Cause: health.SameRouter,
		Detail: fmt.Sprintf("the reply leaves by %s to %s instead of %s, and gets to the router that sent the request, as both have the hardware address %s: what it forwards is taken for that of one uplink",
			p.Link, e.NextHop, p.Gateway, egress.MACText(own.MAC)),
		Remedy: "make one uplink of the two, or write the gateway of another router: one router with two addresses cannot be distinguished"}, true
}
