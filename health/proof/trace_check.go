package proof

import (
	"fmt"

	"replypath/health"
	"replypath/uplinks"
)

// RequestResult is what became of a question.
type RequestResult struct {
	Request Request
	Check   health.ProofCheck
	Egress  string // the link that the answer would have left by; empty: there was none
}

// CheckTraces judges the questions by what was seen of them. Of a path whose question was not answered, asked may know why.
func (g Snapshot) CheckTraces(requests []Request, s Observations, routes map[health.Key]health.ProofCheck) []RequestResult {
	traces := s.traces()
	results := make([]RequestResult, 0, len(requests))
	for _, q := range requests {
		w := traces[q.From]
		a := RequestResult{Request: q}
		if len(w.egress) > 0 {
			a.Egress = g.linkName(w.egress[0].Link)
		}
		a.Check = g.checkTrace(q, w, routes[q.Path.Key])
		results = append(results, a)
	}
	return results
}

func (g Snapshot) checkTrace(q Request, w trace, routes health.ProofCheck) health.ProofCheck {
	p := q.Path
	switch {
	case !w.reached(PreroutingStart):
		return filtered(q, "something before the firewall takes it: an XDP program, tc, or an ingress hook of nftables")
	case !w.reached(PreroutingMarked):
		return filtered(q, "the firewall drops it in PREROUTING, in raw or mangle")
	case !w.ctmarkSet(PreroutingMarked, p.Mark, p.Mask):
		c := failed(health.MarkNotSaved, fmt.Sprintf("the connection of a question that came in by %s did not get the mark %s, but %s", p.Link, p.Mark, otherMark(w, p)))
		c.Remedy += "; when the plan is empty, somebody else keeps questions out of connection tracking or marks connections: " +
			listCommand(p.Family, "raw") + " and " + listCommand(p.Family, "mangle")
		return c
	case !w.markRestored(PreroutingMarked, p.Mark, p.Mask):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but the packet did not get it in PREROUTING", p.Mark))
	case len(w.egress) > 0:
		return g.checkEgress(q, w, routes)
	}
	return g.noReply(q, w, routes)
}

// listCommand is how one sees an iptables table.
func listCommand(f uplinks.Family, table string) string {
	if f == uplinks.IPv6 {
		return "ip6tables -t " + table + " -S"
	}
	return "iptables -t " + table + " -S"
}

// otherMark is what the connection got instead.
func otherMark(w trace, p health.Path) string {
	for _, x := range w.hooks[PreroutingMarked] {
		if x.Ctmark&uint32(p.Mask) != 0 {
			return fmt.Sprintf("%#x", x.Ctmark&uint32(p.Mask))
		}
	}
	return "none"
}

// checkEgress judges an answer by the link that it would have left by.
func (g Snapshot) checkEgress(q Request, w trace, routes health.ProofCheck) health.ProofCheck {
	p, d := q.Path, w.egress[0]
	switch {
	case q.Proto == "udp" && !d.IsReply:
		return health.ProofCheck{Result: health.No, Cause: health.WildcardUDP,
			Detail: fmt.Sprintf("the UDP server was asked at %s and answers from %s, by %s: its answer belongs to no connection", q.To, d.Source, g.linkName(d.Link)),
			Remedy: fmt.Sprintf("bind the server to the uplink's address %s, or let it answer from the address it was asked at (IP_PKTINFO)", q.To.Addr())}
	case !w.markRestored(OutputEnd, p.Mark, p.Mask):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but its answer did not get it in OUTPUT and leaves by %s", p.Mark, g.linkName(d.Link)))
	case !w.markRestored(ReplyPrerouting, p.Mark, p.Mask):
		return failed(health.MarkNotRestored, fmt.Sprintf("the connection has the mark %s, but its answer from inside did not get it in PREROUTING and leaves by %s", p.Mark, g.linkName(d.Link)))
	case d.Link == p.Index:
		return health.ProofCheck{Result: health.Yes}
	case routes.Result == health.No:
		c := routes
		c.Detail = fmt.Sprintf("the answer would leave by %s: %s", g.linkName(d.Link), routes.Detail)
		return c
	}
	return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Remedy: "see which rule takes it: " + q.explainCommand() + "; and who else marks packets: " + listCommand(p.Family, "mangle"),
		Detail: fmt.Sprintf("the answer would leave by %s, though the kernel would send what has the mark by %s", g.linkName(d.Link), p.Link)}
}

// explainCommand is the command that walks the answer through the rules.
func (q Request) explainCommand() string {
	line := fmt.Sprintf("replypath explain %s --from %s --mark %s", q.From.Addr(), q.To.Addr(), q.Path.Mark)
	if q.Proto == "tcp" || q.Proto == "udp" {
		line += fmt.Sprintf(" --proto %s --sport %d --dport %d", q.Proto, q.To.Port(), q.From.Port())
	}
	return line
}

// noReply says how far a question came that no answer to was seen.
func (g Snapshot) noReply(q Request, w trace, routes health.ProofCheck) health.ProofCheck {
	in, forwarded := w.reached(InputStart), w.reached(ForwardStart)
	switch {
	case w.reached(RequestEgress):
		return unknown(health.NoAnswer, fmt.Sprintf("%s would be sent out again by an uplink, and was held back", q), "if a host inside has the service, look at the DNAT rule and the route to that host")
	case !in && !forwarded && routes.Result == health.No:
		return routes
	case !in && !forwarded:
		return filtered(q, "something drops it behind mangle in PREROUTING: a rule in nat or of nftables, or the routing decision")
	case in && !w.reached(InputEnd):
		return filtered(q, "the firewall drops it in INPUT")
	case forwarded && !w.reached(ForwardEnd):
		return filtered(q, "the firewall drops it in FORWARD")
	case w.reached(ReplyPrerouting) && replyMisrouted(routes):
		return routes
	case w.reached(ReplyPrerouting):
		return filtered(q, "the answer from inside is dropped on its way through")
	case w.reached(OutputStart) && !w.reached(OutputEnd):
		return filtered(q, "the firewall drops the answer in OUTPUT")
	case replyMisrouted(routes):
		return routes
	case w.reached(OutputEnd):
		return filtered(q, "the answer is dropped behind OUTPUT")
	}
	return g.hostSilent(q)
}

// replyMisrouted reports whether the kernel has no right way for an answer.
func replyMisrouted(routes health.ProofCheck) bool {
	return routes.Cause == health.RuleMissing || routes.Cause == health.RuleShadowed || routes.Cause == health.RouteMissing
}

func (g Snapshot) hostSilent(q Request) health.ProofCheck {
	ignored := echoIgnored[q.Path.Family]
	switch {
	case q.Kind == Echo && g.Values[ignored] == "1":
		return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered: %s", q, g.sysctl(ignored)), fmt.Sprintf("sysctl -w %s=0, if it should be", ignored))
	case q.Kind == Service && q.Proto == "udp":
		return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered: a UDP server may not know what to say", q), "nothing, if the server is well")
	case q.Kind == Service:
		return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered", q), "see whether the service runs, and whether its host can be reached")
	}
	return unknown(health.NoAnswer, fmt.Sprintf("%s is not answered", q), "the kernel may hold answers back that are too many; the other questions may show the path")
}

func failed(cause health.Cause, why string) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: cause, Detail: why, Remedy: repair}
}

func unknown(cause health.Cause, why, remedy string) health.ProofCheck {
	return health.ProofCheck{Result: health.Unknown, Cause: cause, Detail: why, Remedy: remedy}
}

// filtered is a firewall's work: it says nothing about the path.
func filtered(q Request, where string) health.ProofCheck {
	return unknown(health.FirewallDropped, fmt.Sprintf("%s is not answered: %s", q, where),
		fmt.Sprintf("nothing, if that is wanted; or let the firewall pass questions from an address of your choice: [proof] source = %q", exampleSource[q.Path.Family]))
}

var exampleSource = map[uplinks.Family]string{uplinks.IPv4: "192.0.2.254", uplinks.IPv6: "2001:db8::fe"}
