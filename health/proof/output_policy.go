package proof

import (
	"fmt"
	"net/netip"

	"replypath/health"
	"replypath/uplinks/egress"
)

// policyCheck returns the verdict that an IPsec policy takes the reply, or the request.
func policyCheck(r Request, p egress.Policy) health.ProofCheck {
	does := "takes the reply into a tunnel"
	if p.Block {
		does = "blocks it"
	}
	return health.ProofCheck{Result: health.No, Cause: health.IPsecPolicy, Remedy: "restrict that policy to the networks of the tunnel: ip xfrm policy",
		Detail: fmt.Sprintf("the reply to %s does not leave as it is: the IPsec policy %q %s", r, p.String(), does)}
}

// blocked returns the IPsec policy that drops a request which the firewall has accepted, or its reply behind the last hook at
// which that was observed.
func (t trace) blocked(r Request) (c health.ProofCheck, wrong bool) {
	if len(t.egress) > 0 {
		return c, false
	}
	for _, x := range t.hooks[ReplyPrerouting] {
		if t.reached(ReplyForward) {
			break
		}
		if p, found := t.output.selects(egress.Forward, t.packet(r, x)); found {
			return policyCheck(r, p), true
		}
	}
	for _, hook := range []Hook{ReplyPrerouting, OutputEnd} {
		for _, x := range t.hooks[hook] {
			if p, found := t.output.selects(egress.Out, t.packet(r, x)); found {
				return policyCheck(r, p), true
			}
		}
	}
	if !t.reached(InputEnd) || t.reached(OutputStart) {
		return c, false
	}
	host := t.hooks[InputEnd][0].Host
	request := r.packet(host)
	if p, found := t.output.selects(egress.In, request); found {
		return policyCheck(r, p), true
	}
	reply := request
	reply.From, reply.To = request.To, request.From
	if p, found := t.output.selects(egress.Out, reply); found {
		return policyCheck(r, p), true
	}
	return c, false
}

// transforming returns the IPsec policy by which a reply in POSTROUTING does not leave as it is: connection tracking looks for
// one again when it has translated the source.
func (t trace) transforming(r Request, e EgressObservation) (egress.Policy, bool) {
	for _, from := range []netip.Addr{e.Source, r.To.Addr()} {
		reply := egress.Packet{Proto: r.ProtocolNumber(), From: netip.AddrPortFrom(from, r.To.Port()), To: r.From, Mark: uint32(r.Path.Mark), Link: e.Link}
		if p, found := t.output.selects(egress.Out, reply); found {
			return p, true
		}
	}
	return egress.Policy{}, false
}

// packet returns the request as it arrives for this host at the address.
func (r Request) packet(host netip.AddrPort) egress.Packet {
	return egress.Packet{Proto: r.ProtocolNumber(), From: r.From, To: host, Mark: uint32(r.Path.Mark), Link: r.Path.Index}
}

// BlockedPeers returns the peers of the requests that an IPsec policy drops when they are for this host.
func (o *Output) BlockedPeers(requests []Request) map[netip.AddrPort]bool {
	if len(o.Policies) == 0 {
		return nil
	}
	blocked := map[netip.AddrPort]bool{}
	for _, r := range requests {
		if _, found := o.selects(egress.In, r.packet(r.To)); found {
			blocked[r.From] = true
		}
	}
	return blocked
}

// selects returns the policy that selects the packet, if it does not let it pass as it is.
func (o *Output) selects(d egress.Direction, p egress.Packet) (egress.Policy, bool) {
	policy, found := o.FindPolicy(d, p)
	return policy, found && !policy.Passes()
}
