package proof

import (
	"fmt"
	"slices"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// kernelProtocol is RTPROT_KERNEL, the protocol of the rules that each host has.
const kernelProtocol = 2

// misroutedRequest returns why a request leaves again by an uplink, if another program is the reason: its address is not one of
// this host any more, or a rule selects it where the route to a LAN host should.
func (s Snapshot) misroutedRequest(r Request, t trace, routes health.ProofCheck) (c health.ProofCheck, misrouted bool) {
	egress := t.hooks[RequestEgress]
	if len(egress) == 0 {
		return c, false
	}
	x := egress[0]
	if x.Host.Addr() == r.To.Addr() {
		routes.Result = health.No
		return routes, routes.Cause != ""
	}
	db := s.Databases[r.Path.Family]
	if db == nil {
		return c, false
	}
	packet := rpdb.Packet{Family: r.Path.Family, From: r.From.Addr(), To: x.Host.Addr(), In: r.Path.Link, Mark: x.Mark, Proto: r.protocol()}
	if rpdb.HasPorts(packet.Proto) {
		packet.Sport, packet.Dport = r.From.Port(), x.Host.Port()
	}
	result := db.LookUp(packet)
	step, decided := decidingStep(result)
	behind := s.foreignJumps(db, result.Steps)
	if !decided || behind == "" && (step.Rule.Protocol == uplinks.Protocol || step.Rule.Protocol == kernelProtocol) {
		return c, false
	}
	return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed, Remedy: "give that rule a priority after replypath's, or let it not select packets to networks inside",
		Detail: fmt.Sprintf("%s is translated to %s, and leaves again by an uplink: it is selected by %s", r, x.Host, s.ruleText(db, step.Rule)+behind)}, true
}

// sentOut returns that a request would leave again by an uplink, for a host on the Internet: whether that replies by this host, as it
// does where the source is translated too, cannot be asked.
func (s Snapshot) sentOut(r Request, t trace) health.ProofCheck {
	x, to := t.hooks[RequestEgress][0], r.String()
	if x.Host != r.To && x.Host.IsValid() {
		to += fmt.Sprintf(", translated to %s,", x.Host)
	}
	return unknown(health.NoAnswer, fmt.Sprintf("%s would leave again by an uplink (%s); it was dropped there: whether its reply comes back by this host is unknown", to, s.linkName(x.Link)),
		"if a host inside has the service, check the DNAT rule and the route to that host: ip route get")
}

// isTranslated reports whether the request is for a service behind DNAT: a rule was found for it, or no socket of this host
// receives it.
func (s Snapshot) isTranslated(r Request) bool {
	return r.Found || r.Kind == Service && s.Servers != nil && !slices.ContainsFunc(s.Servers, func(x Server) bool {
		return x.Proto == r.protocol() && x.Port == r.To.Port() && x.Accepts(r.To.Addr(), r.Path.Index)
	})
}

// forwardsNothing reports whether the request is for a service and got neither to this host nor, as it should, to another one,
// because this host forwards nothing that comes in by the path.
func (s Snapshot) forwardsNothing(r Request, t trace) bool {
	return (r.Kind == Service || r.Kind == Inside) && !t.reached(InputStart) && !t.reached(ForwardStart) && s.Values[forwarding(r.Path)] == "0"
}

// notForwardedFrom returns that the kernel forwards nothing that comes in by the link.
func notForwardedFrom(link string, f uplinks.Family) health.ProofCheck {
	t := forwarding(health.Path{Key: health.Key{Family: f}, Link: link})
	return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Remedy: fmt.Sprintf("sysctl -w %s=1", t),
		Detail: fmt.Sprintf("packets that come in by %s are not forwarded: %s = 0", link, t)}
}

func (s Snapshot) notForwarded(r Request) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Remedy: fmt.Sprintf("sysctl -w %s=1", forwarding(r.Path)),
		Detail: fmt.Sprintf("%s is not forwarded: %s", r, s.sysctl(forwarding(r.Path)))}
}
