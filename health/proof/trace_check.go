package proof

import (
	"fmt"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// RequestResult is the verdict on one request.
type RequestResult struct {
	Request   Request
	Check     health.ProofCheck
	Egress    string // the interface that the reply would have left by; empty: there was no reply
	ReplyLost bool   // a reply was sent, or had to be, and did not get to the egress, or to that of another path
	forwarded bool   // to a LAN host
	// repliedInside reports that a reply of a LAN host came in.
	repliedInside bool
	Proxied       bool // the proxy that is configured for the request has taken it
	// Undelivered reports that the request got neither to this host nor to a LAN host.
	Undelivered bool
}

// CheckTraces returns the verdict on each request by its trace. routes has the result of CheckRoutes for each path,
// which may explain why a request got no reply.
func (s Snapshot) CheckTraces(requests []Request, traces Traces, routes map[health.Key]health.ProofCheck) []RequestResult {
	results := make([]RequestResult, 0, len(requests))
	for _, r := range requests {
		t := traces.of(r)
		path := routes[r.Path.Key]
		if path.Scope == health.ClientScope { // the peer is none of these
			path = health.ProofCheck{Result: health.Yes}
		}
		a := RequestResult{Request: r, ReplyLost: s.replyLost(r, t)}
		if len(t.egress) > 0 {
			a.Egress = s.linkName(r.worstEgress(t).Link)
		}
		a.Check = s.checkInside(r, t, s.checkOutput(r, t, s.checkTrace(r, t, path)))
		a.ReplyLost = a.ReplyLost || a.Check.Scope == health.ClientScope
		a.forwarded, a.repliedInside, a.Proxied = t.reached(ForwardEnd), t.reached(ReplyPrerouting), t.proxied(r)
		a.Undelivered = t.reached(RequestEgress) || t.reached(PreroutingMarked) && !t.reached(InputStart) && !t.reached(ForwardStart)
		results = append(results, a)
	}
	s.inferForwarded(results)
	return slices.DeleteFunc(results, RequestResult.saysNothing)
}

// inferForwarded fails the requests of a path on which every reply of this host is right only by the rule for its address, where
// destinations are translated: the replies of LAN hosts, which that rule does not select, then stray. It infers nothing for a
// path by which a request was forwarded.
func (s Snapshot) inferForwarded(results []RequestResult) {
	if !s.FirewallRead || !s.translatesDestinations() {
		return
	}
	inferable := map[health.Key]bool{}
	for _, r := range results {
		k := r.Request.Path.Key
		if r.Check.Result == health.Yes {
			before, known := inferable[k]
			inferable[k] = (before || !known) && !r.forwarded && slices.Contains(alsoForwarded, r.Check.Cause)
		}
	}
	for i, r := range results {
		if r.Check.Result == health.Yes && inferable[r.Request.Path.Key] {
			results[i].Check.Result = health.No
			results[i].Check.Detail += ", as those of LAN hosts do (there are DNAT rules)"
		}
	}
}

// alsoForwarded are the causes of warnings that concern forwarded packets too.
var alsoForwarded = []health.Cause{health.MarkNotSaved, health.MarkNotRestored, health.PreroutingMark, health.ConntrackZone}

func (s Snapshot) checkTrace(r Request, t trace, routes health.ProofCheck) health.ProofCheck {
	switch {
	case !t.reached(PreroutingStart):
		return filtered(r, "it is dropped before the firewall, by an XDP program, tc, or an ingress hook of nftables")
	case !t.reached(PreroutingMarked):
		return filtered(r, "the firewall drops it in PREROUTING, in raw or mangle")
	case t.taken():
		return unknown(health.TraceUnavailable, fmt.Sprintf("%s gets no reply of its own: other hosts send packets with the same addresses and ports", r), "nothing, if the next proof is conclusive; else find who sends them: conntrack -L -s "+r.From.Addr().String())
	case len(t.egress) > 0:
		return s.checkEgress(r, t, routes)
	}
	return s.noReply(r, t, routes)
}

// checkEgress returns the verdict on a request by where its reply would have left: by the interface of the path, from the address
// that was asked, to the right next hop. What is wrong on the way is a warning then.
func (s Snapshot) checkEgress(r Request, t trace, routes health.ProofCheck) health.ProofCheck {
	e, problem := r.worstEgress(t), s.markProblem(r, t)
	same, isSame := s.sameRouter(r, t, e)
	switch {
	case s.forwardsNothing(r, t): // the kernel replies that the host is unreachable
		return s.notForwarded(r)
	case !r.rightSource(t, e):
		return s.wrongSource(r, t, e, problem)
	case !r.rightNextHop(e) && isSame:
		return same
	case !r.rightNextHop(e):
		return s.wrongEgress(r, t, e, problem, routes)
	case problem.Cause == "":
		return s.checkLaterReplies(r, t)
	case problem.Cause == health.Bridged: // the neighbours of a port answer to its bridge
		return problem
	case problem.Cause == health.Untracked && t.deliveredTo() == r.To && s.isTranslated(r):
		problem.Detail += ", and DNAT does not translate its address"
		return problem
	}
	return s.rightToday(r, t, problem)
}

// worstEgress returns the observation of the reply in POSTROUTING; of several one that is wrong.
func (r Request) worstEgress(t trace) EgressObservation {
	for _, e := range t.egress {
		if !r.rightSource(t, e) || !r.rightNextHop(e) {
			return e
		}
	}
	return t.egress[0]
}

// rightSource reports whether the reply has the address that was asked, or will have it: behind DNAT, connection tracking
// translates the address of the server.
func (r Request) rightSource(t trace, e EgressObservation) bool {
	server := t.deliveredTo().Addr()
	return e.Source == r.To.Addr() || e.State&StateRelated != 0 || e.IsReply() && (!server.IsValid() || e.Source == server)
}

// rightNextHop reports whether the reply leaves by the path's interface and, if the path has one in its family, its gateway.
func (r Request) rightNextHop(e EgressObservation) bool {
	gateway := r.Path.Gateway
	known := gateway.IsValid() && e.NextHop.IsValid() && gateway.Is4() == e.NextHop.Is4()
	return e.Link == r.Path.Index && (!known || e.NextHop == gateway.WithZone(""))
}

// wrongSource returns the verdict on a reply from another address than the one that was asked.
func (s Snapshot) wrongSource(r Request, t trace, e EgressObservation, problem health.ProofCheck) health.ProofCheck {
	if c, wrong := s.rewrittenAtIngress(r, t); wrong {
		return c
	}
	from := fmt.Sprintf("%s is answered from %s, by %s", r, e.Source, s.linkName(e.Link))
	asked, replied := t.deliveredTo(), t.repliedFrom()
	switch {
	case problem.Cause == health.Untracked || problem.Cause == health.ConntrackZone || problem.Cause == health.SYNProxy:
		problem.Detail = fmt.Sprintf("%s, as connection tracking does not take it for a reply: %s", from, problem.Detail)
		return problem
	case r.Proto == "udp" && asked.IsValid() && replied.IsValid() && asked.Addr() != replied:
		return health.ProofCheck{Result: health.No, Cause: health.WildcardUDP,
			Detail: fmt.Sprintf("the UDP server received the request at %s and replied from %s, by %s: the reply belongs to no connection", asked, replied, s.linkName(e.Link)),
			Remedy: fmt.Sprintf("bind the server to the uplink's address %s, or make it reply from the address that the request was sent to (IP_PKTINFO)", r.To.Addr())}
	}
	return health.ProofCheck{Result: health.No, Cause: health.WrongSource, Detail: from + ": the client takes it for no reply",
		Remedy: "see what translates or rewrites the source: " + listCommand(r.Path.Family, "nat") + ", nft list ruleset"}
}

// noReply returns the verdict on a request without a reply by the last hook that it or its reply reached.
func (s Snapshot) noReply(r Request, t trace, routes health.ProofCheck) health.ProofCheck {
	in, forwarded := t.reached(InputStart), t.reached(ForwardStart)
	rejected, isRejected := s.rejectedReply(r, t)
	misrouted, isMisrouted := s.misroutedRequest(r, t, routes)
	misdirected, isMisdirected := t.wrongInside(r)
	taker, isTaken := t.takenAtIngress(r)
	switch {
	case isMisrouted:
		return misrouted
	case t.reached(RequestEgress):
		return s.sentOut(r, t)
	case s.forwardsNothing(r, t):
		return s.notForwarded(r)
	case !in && !forwarded && routes.Cause != "":
		routes.Result = health.No
		return routes
	case !in && !forwarded:
		if problem := s.markProblem(r, t); problem.Cause != "" {
			problem.Detail = fmt.Sprintf("%s is dropped behind mangle in PREROUTING: %s", r, problem.Detail)
			return problem
		}
		return filtered(r, "it is dropped after mangle in PREROUTING, by nat, an nftables rule, or the routing decision")
	case in && !t.reached(InputEnd):
		return filtered(r, "the firewall drops it in INPUT")
	case forwarded && !t.reached(ForwardEnd):
		return filtered(r, "the firewall drops it in FORWARD")
	case isRejected:
		return rejected
	case t.reached(ReplyPrerouting) && replyMisrouted(routes):
		return routes
	case t.reached(ReplyPrerouting):
		return filtered(r, "the reply of the LAN host is dropped while it is forwarded")
	case t.reached(OutputStart) && !t.reached(OutputEnd):
		return filtered(r, "the firewall drops the reply in OUTPUT")
	case isMisdirected:
		return misdirected
	case isTaken:
		return s.lostAtIngress(r, t, taker)
	case replyMisrouted(routes):
		return routes
	case t.reached(OutputEnd):
		return filtered(r, "the reply is dropped after OUTPUT")
	}
	return s.hostSilent(r)
}

// replyMisrouted reports whether the kernel does not route replies through the path.
func replyMisrouted(routes health.ProofCheck) bool {
	return slices.Contains([]health.Cause{health.RuleMissing, health.RuleShadowed, health.RouteMissing, health.RouteShadowed}, routes.Cause)
}

func (s Snapshot) hostSilent(r Request) health.ProofCheck {
	ignored := echoIgnored[r.Path.Family]
	switch {
	case r.Kind == Echo && s.Values[ignored] == "1":
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply: %s", r, s.sysctl(ignored)), fmt.Sprintf("sysctl -w %s=0, if echo requests should be answered", ignored))
	case (r.Kind == Service || r.Kind == Proxied) && r.Proto == "udp":
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply: a UDP server may ignore a request that it does not understand", r), "nothing, if the server works")
	case r.Kind == Inside:
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply", r), "nothing: the host need not answer")
	case r.Kind == Service:
		return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply", r), "check that the service runs and that its host is reachable")
	}
	return unknown(health.NoAnswer, fmt.Sprintf("%s gets no reply", r), "the kernel may limit the rate of such replies; other requests may prove the path")
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
