package proof

import (
	"fmt"

	"replypath/health"
)

// isRouterUnknown reports whether no hardware address is known from which the router of the path sends, while others are on its link: the
// request came from none of them.
func (o *Output) isRouterUnknown(p health.Path) bool {
	if o == nil || !p.SharedLink || p.RouterMAC != "" {
		return false
	}
	n, found := o.FindNeighbour(p.Index, p.Gateway)
	return !found || !n.State.Valid()
}

// unknownRouter returns why a request of such a path has the mark of another uplink.
func unknownRouter(p health.Path, x Observation) health.ProofCheck {
	c := failed(health.MarkNotSaved, fmt.Sprintf("the hardware address of the gateway %s is not known, by which requests of its router are distinguished from others on %s: the connection has %s instead of the mark %s",
		p.Gateway, p.Link, markText(x.Ctmark, p.Mask), p.Mark))
	c.Remedy = fmt.Sprintf("check that the gateway answers on %s: ping -I %[1]s %s", p.Link, p.Gateway)
	return c
}
