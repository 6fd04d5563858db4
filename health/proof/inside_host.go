package proof

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
)

// insidePorts are the TCP ports at which a host inside is asked: the first that no rule selects, as such a rule may be meant for servers of
// this host. A host without a server there resets the connection.
var insidePorts = []uint16{443, 80, 22}

// lastInsidePort is asked where rules select all of these: that of tcpmux (RFC 1078).
const lastInsidePort = 1

// insideRequests returns requests for hosts inside at their own addresses, without DNAT.
func (h Host) insideRequests(p health.Path) (all []Request) {
	port := uint16(lastInsidePort)
	if i := slices.IndexFunc(insidePorts, func(n uint16) bool { return !slices.Contains(h.Selected, Selected{Proto: "tcp", Port: n}) }); i >= 0 {
		port = insidePorts[i]
	}
	for _, a := range h.Inside[p.Family] {
		all = append(all, Request{Kind: Inside, Proto: "tcp", To: netip.AddrPortFrom(a, port)}, Request{Kind: Inside, Proto: "icmp", To: netip.AddrPortFrom(a, 0)})
	}
	return all
}

// checkInside returns the verdict on a request for a host inside. Where a rule selects the source of the reply, clients may not come by
// the path: networks that one provider has given are routed so on purpose.
func (s Snapshot) checkInside(r Request, t trace, c health.ProofCheck) health.ProofCheck {
	db := s.Databases[r.Path.Family]
	if r.Kind != Inside || c.Result != health.No || c.Cause != health.RuleShadowed || db == nil || !t.reached(ReplyPrerouting) {
		return c
	}
	step, decided := decidingStep(db.LookUp(s.replyPacket(r, t)))
	if decided && step.Rule.From.IsValid() && step.Rule.From.Bits() > 0 {
		c.Result, c.Scope = health.Unknown, health.ClientScope
		c.Detail += fmt.Sprintf("; whether requests for %s come by %s is unknown", step.Rule.From, r.Path.Link)
		c.Remedy = "nothing, if another provider routes that network to this host; else " + c.Remedy
	}
	return c
}

// saysNothing reports whether a request for a host inside got no reply because the firewall or the host gives none: most firewalls
// accept no connections to hosts inside from the Internet, and nothing says that this host serves any.
func (r RequestResult) saysNothing() bool {
	return r.Request.Kind == Inside && !r.repliedInside && r.Check.Result == health.Unknown &&
		(r.Check.Cause == health.FirewallDropped || r.Check.Cause == health.NoAnswer)
}
