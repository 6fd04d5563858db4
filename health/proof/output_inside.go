package proof

import (
	"fmt"
	"strconv"

	"replypath/health"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// ListedRule is a firewall rule of another program with its place, for the operator.
type ListedRule struct {
	foreign.Rule
	Place string
}

// String returns the place and the text.
func (l ListedRule) String() string { return fmt.Sprintf("%s: %s", l.Place, l.Text) }

// takenAtIngress returns the rule at the ingress of a link inside that may have taken the reply to a request which was forwarded there:
// such a reply is not observed.
func (t trace) takenAtIngress(r Request) (l ListedRule, found bool) {
	if t.output == nil || !t.reached(ForwardEnd) || t.reached(ReplyPrerouting) {
		return l, false
	}
	host := t.deliveredTo()
	for _, l := range t.output.AtIngress[t.output.InsideLinks[host.Addr()]] {
		if l.MayTake(host.Addr().Is6(), r.Proto, strconv.Itoa(int(host.Port()))) {
			return l, true
		}
	}
	return l, false
}

// lostAtIngress returns that the reply to a request may have been taken by a rule at the ingress of a link inside. Whether the host has
// replied at all is not known.
func (s Snapshot) lostAtIngress(r Request, t trace, l ListedRule) health.ProofCheck {
	c := unknown(health.FirewallDropped, "", outputRemedy)
	does := "drops"
	switch {
	case l.Forwards:
		c.Cause, does = health.ReplyRedirected, "redirects"
	case l.Rewrites != "" && !l.Drops:
		c.Cause, does = health.ReplyRewritten, "rewrites"
	}
	host := t.deliveredTo()
	c.Detail = fmt.Sprintf("%s gets no reply, although it was forwarded to %s: a rule at the ingress of %s %s such packets: %s", r, host, s.linkName(t.output.InsideLinks[host.Addr()]), does, l)
	return c
}

// rewrittenAtIngress returns that a rule at the ingress of a link inside rewrites the reply, whose source is not the host's.
func (s Snapshot) rewrittenAtIngress(r Request, t trace) (c health.ProofCheck, wrong bool) {
	if t.output == nil || !t.reached(ReplyPrerouting) {
		return c, false
	}
	x := t.hooks[ReplyPrerouting][0]
	for _, l := range t.output.AtIngress[x.Link] {
		if l.Rewrites != "" && l.MayTake(x.Host.Addr().Is6(), r.Proto, strconv.Itoa(int(x.Host.Port()))) {
			return health.ProofCheck{Result: health.No, Cause: health.ReplyRewritten, Remedy: outputRemedy,
				Detail: fmt.Sprintf("the reply to %s gets the source %s at the ingress of %s, by %s", r, x.Host, s.linkName(x.Link), l)}, true
		}
	}
	return c, false
}

// undiscovered returns that other hosts on the link of the path cannot resolve this one, or this one them, as a rule breaks neighbour
// discovery.
func (t trace) undiscovered(r Request) (c health.ProofCheck, broken bool) {
	l, broken := t.output.Discovery[r.Path.Index]
	if !broken || r.Path.Family != uplinks.IPv6 {
		return c, false
	}
	does := "drops its packets"
	if !l.Drops {
		does = "changes the hop limit of its packets, so that routers drop them (RFC 4861)"
	}
	return health.ProofCheck{Result: health.No, Cause: health.NeighbourCause, Remedy: "delete that rule, or let neighbour discovery pass before it (icmpv6 types 135 and 136)",
		Detail: fmt.Sprintf("the router of %s cannot resolve this host, or this host the router, for the reply to %s: neighbour discovery is broken by a rule that %s: %s", r.Path.Link, r, does, l)}, true
}
