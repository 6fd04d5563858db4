package proof

import (
	"fmt"

	"replypath/health"
	"replypath/uplinks"
)

// RequestResult is the verdict on one request.
type RequestResult struct {
	Request Request
	Check   health.ProofCheck
	Egress  string // the interface that the reply would have left by; empty: there was no reply
}

// CheckTraces returns the verdict on each request by the observations of it. routes has the result of CheckRoutes for each path,
// which may explain why a request got no reply.
func (s Snapshot) CheckTraces(requests []Request, o Observations, routes map[health.Key]health.ProofCheck) []RequestResult {
	traces := o.traces()
	results := make([]RequestResult, 0, len(requests))
	for _, r := range requests {
		t := traces[r.From]
		a := RequestResult{Request: r}
		if len(t.egress) > 0 {
			a.Egress = s.linkName(t.egress[0].Link)
		}
		a.Check = s.checkTrace(r, t, routes[r.Path.Key])
		results = append(results, a)
	}
	return results
}

func (s Snapshot) checkTrace(r Request, t trace, routes health.ProofCheck) health.ProofCheck {
	p := r.Path
	switch {
	case !t.reached(PreroutingStart):
		return filtered(r, "it is dropped before the firewall, by an XDP program, tc, or an ingress hook of nftables")
	case !t.reached(PreroutingMarked):
		return filtered(r, "the firewall drops it in PREROUTING, in raw or mangle")
	case t.taken():
		return unknown(health.TraceUnavailable, fmt.Sprintf("%s gets no reply of its own: other hosts send packets with the same addresses and ports", r), "nothing, if the next proof is conclusive; else find who sends them: conntrack -L -s "+r.From.Addr().String())
	case !t.ctmarkSet(PreroutingMarked, p.Mark, p.Mask):
		c := failed(health.MarkNotSaved, fmt.Sprintf("the connection of a request that arrived on %s has %s instead of the mark %s", p.Link, otherMark(t, p), p.Mark))
		c.Remedy += "; if the plan is empty, another program exempts requests from connection tracking or marks connections: " +
			listCommand(p.Family, "raw") + " and " + listCommand(p.Family, "mangle")
		return c
	case !t.markRestored(PreroutingMarked, p.Mark, p.Mask):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but PREROUTING does not restore it to the packet", p.Mark))
	case len(t.egress) > 0:
		return s.checkEgress(r, t, routes)
	}
	return s.noReply(r, t, routes)
}

// listCommand returns the command that lists an iptables table.
func listCommand(f uplinks.Family, table string) string {
	if f == uplinks.IPv6 {
		return "ip6tables -t " + table + " -S"
	}
	return "iptables -t " + table + " -S"
}

// otherMark returns the mark that the connection has instead of the path's, in words.
func otherMark(t trace, p health.Path) string {
	for _, x := range t.hooks[PreroutingMarked] {
		if x.Ctmark&uint32(p.Mask) != 0 {
			return fmt.Sprintf("the mark %#x", x.Ctmark&uint32(p.Mask))
		}
	}
	return "no mark"
}

// checkEgress returns the verdict on a request by the interface that its reply would have left by.
func (s Snapshot) checkEgress(r Request, t trace, routes health.ProofCheck) health.ProofCheck {
	p, d := r.Path, t.egress[0]
	switch {
	case r.Proto == "udp" && !d.IsReply():
		return health.ProofCheck{Result: health.No, Cause: health.WildcardUDP,
			Detail: fmt.Sprintf("the UDP server received the request at %s and replied from %s, by %s: the reply belongs to no connection", r.To, d.Source, s.linkName(d.Link)),
			Remedy: fmt.Sprintf("bind the server to the uplink's address %s, or make it reply from the address that the request was sent to (IP_PKTINFO)", r.To.Addr())}
	case !t.markRestored(OutputEnd, p.Mark, p.Mask):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but OUTPUT does not restore it to the reply, which would leave by %s", p.Mark, s.linkName(d.Link)))
	case !t.markRestored(ReplyPrerouting, p.Mark, p.Mask):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but PREROUTING does not restore it to the reply of the LAN host, which would leave by %s", p.Mark, s.linkName(d.Link)))
	case d.Link == p.Index:
		return health.ProofCheck{Result: health.Yes}
	case routes.Result == health.No:
		c := routes
		c.Detail = fmt.Sprintf("the reply would leave by %s: %s", s.linkName(d.Link), routes.Detail)
		return c
	}
	return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Remedy: "find the rule that selects it: " + r.explainCommand() + "; and other programs that mark packets: " + listCommand(p.Family, "mangle"),
		Detail: fmt.Sprintf("the reply would leave by %s, although the kernel routes packets with the mark by %s", s.linkName(d.Link), p.Link)}
}

// explainCommand returns the command that walks the reply through the rules.
func (r Request) explainCommand() string {
	line := fmt.Sprintf("replypath explain %s --from %s --mark %s", r.From.Addr(), r.To.Addr(), r.Path.Mark)
	if r.Proto == "tcp" || r.Proto == "udp" {
		line += fmt.Sprintf(" --proto %s --sport %d --dport %d", r.Proto, r.To.Port(), r.From.Port())
	}
	return line
}

// noReply returns the verdict on a request without a reply by the last hook that it or its reply reached.
func (s Snapshot) noReply(r Request, t trace, routes health.ProofCheck) health.ProofCheck {
	in, forwarded := t.reached(InputStart), t.reached(ForwardStart)
	switch {
	case t.reached(RequestEgress):
		return unknown(health.NoAnswer, fmt.Sprintf("%s would leave again by an uplink; it was dropped there", r), "if a LAN host has the service, check the DNAT rule and the route to that host")
	case !in && !forwarded && routes.Result == health.No:
		return routes
	case !in && !forwarded:
		return filtered(r, "it is dropped after mangle in PREROUTING, by nat, an nftables rule, or the routing decision")
	case in && !t.reached(InputEnd):
		return filtered(r, "the firewall drops it in INPUT")
	case forwarded && !t.reached(ForwardEnd):
		return filtered(r, "the firewall drops it in FORWARD")
	case t.reached(ReplyPrerouting) && replyMisrouted(routes):
		return routes
	case t.reached(ReplyPrerouting):
		return filtered(r, "the reply of the LAN host is dropped while it is forwarded")
	case t.reached(OutputStart) && !t.reached(OutputEnd):
		return filtered(r, "the firewall drops the reply in OUTPUT")
	case replyMisrouted(routes):
		return routes
	case t.reached(OutputEnd):
		return filtered(r, "the reply is dropped after OUTPUT")
	}
	return s.hostSilent(r)
}

// replyMisrouted reports whether the kernel does not route replies through the path.
func replyMisrouted(routes health.ProofCheck) bool {
	return routes.Cause == health.RuleMissing || routes.Cause == health.RuleShadowed || routes.Cause == health.RouteMissing
}

func (s Snapshot) hostSilent(r Request) health.ProofCheck {
	ignored := echoIgnored[r.Path.Family]
	switch {
	case r.Kind == Echo && s.Values[ignored] == "1":
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply: %s", r, s.sysctl(ignored)), fmt.Sprintf("sysctl -w %s=0, if echo requests should be answered", ignored))
	case r.Kind == Service && r.Proto == "udp":
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply: a UDP server may ignore a request that it does not understand", r), "nothing, if the server works")
	case r.Kind == Service:
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply", r), "check that the service runs and that its host is reachable")
	}
	return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply", r), "the kernel may limit the rate of such replies; other requests may prove the path")
}

func failed(cause health.Cause, why string) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: cause, Detail: why, Remedy: repair}
}

func unknown(cause health.Cause, why, remedy string) health.ProofCheck {
	return health.ProofCheck{Result: health.Unknown, Cause: cause, Detail: why, Remedy: remedy}
}

// filtered returns the verdict on a request or reply that a firewall dropped, which says nothing about the path.
func filtered(r Request, where string) health.ProofCheck {
	return unknown(health.FirewallDropped, fmt.Sprintf("%s gets no reply: %s", r, where),
		fmt.Sprintf("nothing, if that is intended; or let the firewall accept requests from an address of your choice: [proof] source = %q", exampleSource[r.Path.Family]))
}

var exampleSource = map[uplinks.Family]string{uplinks.IPv4: "192.0.2.254", uplinks.IPv6: "2001:db8::fe"}
