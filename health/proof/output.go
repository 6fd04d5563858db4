package proof

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// Output is what the kernel consults for replies after it has routed them.
type Output struct {
	egress.State
	// MACs are the raw hardware addresses from which gateways replied, where the kernel's own entries may be wrong.
	MACs map[egress.LinkAddr]string
	// Inside are the neighbours by which requests were sent to hosts inside that did not reply, where the kernel's own entries may be
	// wrong, by the addresses of these hosts.
	Inside map[netip.Addr]InsideNeighbour
	// FullTables has the families whose gateways the kernel has refused to resolve, as its neighbour table is full.
	FullTables map[uplinks.Family]bool
	// AtIngress are the rules of other programs at the ingress of links that are no uplinks, by the link's index, which drop, redirect or
	// rewrite packets.
	AtIngress map[int][]ListedRule
	// InsideLinks are the indexes of the links by which requests were sent to hosts inside that did not reply.
	InsideLinks map[netip.Addr]int
	// Discovery has the rule that breaks neighbour discovery, by the indexes of the uplinks' links.
	Discovery map[int]ListedRule
	// UnreadQueues are the rules that hand packets to queues which no program reads: the kernel drops these.
	UnreadQueues []ListedRule
	// Steps are the firewall rules that requests and replies have matched, where they were traced.
	Steps []Step
}

// Step is a firewall rule, or the policy of a chain, that a packet of a request has matched.
type Step struct {
	Peer  netip.Addr
	Port  uint16
	Reply bool   // the packet is the reply
	Place string // table and chain, for the operator: table ip evil, chain p
	Rule  string // its text
	Drops bool
	// Forwards reports that it sends the packet by another link, Rewrites that it overwrites fields of the packet.
	Forwards, Rewrites bool
	ByAddress          bool // it selects by addresses, or in a way that is not decoded: others may not match
	// AfterRouting reports that packets meet it in POSTROUTING or at the egress of a link.
	AfterRouting bool
	// Listed reports that it was not seen to match: it can.
	Listed bool
}

// String returns the place and the text.
func (s Step) String() string { return fmt.Sprintf("%s: %s", s.Place, s.Rule) }

// checkOutput returns the verdict on a request with what is behind the route of its reply, if the verdict without that is no
// complete answer: yes, or none.
func (s Snapshot) checkOutput(r Request, t trace, c health.ProofCheck) health.ProofCheck {
	if t.output == nil {
		return c
	}
	if len(t.egress) > 0 && c.Result == health.Yes {
		if wrong, is := s.checkEgressOutput(r, t); is {
			return wrong
		}
		if broken, is := t.undiscovered(r); is {
			return broken
		}
	}
	if blocked, is := t.blocked(r); is && (c.Cause == health.NoAnswer || c.Cause == health.FirewallDropped) {
		return blocked
	}
	if c.Cause == health.FirewallDropped {
		c.Detail += t.dropper()
	}
	return c
}

// checkEgressOutput returns why a reply that was routed to the path's interface does not leave by it as it is, if so: what other
// programs do in POSTROUTING, behind replypath's chains, and at the egress of links; neighbours, IPsec policies, traffic control.
func (s Snapshot) checkEgressOutput(r Request, t trace) (c health.ProofCheck, wrong bool) {
	e := t.egress[0]
	end, ended := prefer(slices.Concat(t.hooks[PostroutingEnd], t.hooks[PostroutingPassed]), func(x Observation) bool { return x.Proto == e.Proto },
		func(x Observation) bool { return x.Host.Addr() == e.Source || x.Host.Addr() == r.To.Addr() })
	wire, left := prefer(t.wire, func(w WireObservation) bool { return w.Proto == e.Proto },
		func(w WireObservation) bool { return w.Link == e.Link && w.Host == end.Host })
	switch {
	case !ended:
		if policy, found := t.transforming(r, e); found {
			return policyCheck(r, policy), true
		}
		return t.lost(r, "in POSTROUTING, behind replypath's chains"), true
	case end.Host.Addr() != e.Source && end.Host.Addr() != r.To.Addr(): // the address asked: after DNAT
		return t.rewritten(r, "in POSTROUTING", "source "+end.Host.Addr().String()), true
	case !end.Error && r.To.Port() != 0 && end.Host.Port() != r.To.Port() && end.Host.Port() != t.deliveredTo().Port():
		return t.rewritten(r, "in POSTROUTING", fmt.Sprintf("source port %d", end.Host.Port())), true
	case end.Hook == PostroutingEnd:
		return s.kept(r, t, e, end)
	case !t.wireObserved:
		return t.checkTrafficControl(r, end)
	case !left:
		return t.lost(r, "at the egress of "+s.linkName(e.Link)), true
	case wire.Link != e.Link:
		return t.redirected(r, s.linkName(wire.Link)), true
	case wire.Host != end.Host:
		return t.rewritten(r, "at the egress of "+s.linkName(e.Link), "source "+wire.Host.String()), true
	}
	if c, wrong = t.checkNeighbour(r, e, wire); wrong {
		return c, true
	}
	if wire.TTL == expiredTTL && !r.hasServer(t) {
		return s.expires(r, t), true
	}
	return t.checkTrafficControl(r, end)
}

// prefer returns the first element that is possible and right, or else the first possible one.
func prefer[T any](all []T, possible, right func(T) bool) (best T, found bool) {
	for _, x := range all {
		switch {
		case !possible(x):
		case right(x):
			return x, true
		case !found:
			best, found = x, true
		}
	}
	return best, found
}

// outputRemedy is the remedy for rules of other programs that take replies.
const outputRemedy = "delete that rule, or restrict it to packets that are no replies"

// takers returns the rules behind the route of the reply that match. Rules that are only listed count when none was seen to match.
func (t trace) takers(match func(Step) bool) (all []Step) {
	for _, listed := range []bool{false, true} {
		for _, x := range t.steps {
			if x.Reply && x.AfterRouting && x.Listed == listed && match(x) && !slices.Contains(all, x) {
				all = append(all, x)
			}
		}
		if len(all) > 0 {
			break
		}
	}
	return all
}

// by returns the rules for use in a sentence.
func by(steps []Step) string {
	var texts []string
	for _, x := range steps {
		texts = append(texts, x.String())
	}
	if len(texts) == 0 {
		return "another program (nft list ruleset, iptables-save, bpftool prog)"
	}
	return strings.Join(texts, "; ")
}

// lost returns the verdict on a reply that another program drops after it was routed. Where that rule selects by addresses, other
// clients may get their replies.
func (t trace) lost(r Request, where string) health.ProofCheck {
	steps := t.takers(func(x Step) bool { return x.Drops })
	c := health.ProofCheck{Result: health.No, Cause: health.ReplyDropped, Remedy: outputRemedy,
		Detail: fmt.Sprintf("the reply to %s is dropped %s, by %s", r, where, by(steps))}
	if queued := t.queued(); len(steps) == 0 && queued != "" {
		c.Detail = fmt.Sprintf("the reply to %s is dropped %s%s", r, where, queued)
	}
	if len(steps) > 0 && !slices.ContainsFunc(steps, func(x Step) bool { return !x.ByAddress }) {
		c.Result, c.Cause = health.Unknown, health.FirewallDropped
	}
	return c
}

func (t trace) rewritten(r Request, where, field string) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: health.ReplyRewritten, Remedy: outputRemedy,
		Detail: fmt.Sprintf("the reply to %s gets the %s %s, by %s", r, field, where, by(t.takers(func(x Step) bool { return x.Rewrites })))}
}

func (t trace) redirected(r Request, link string) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: health.ReplyRedirected, Remedy: outputRemedy,
		Detail: fmt.Sprintf("the reply to %s is sent by %s instead of %s, by %s", r, link, r.Path.Link, by(t.takers(func(x Step) bool { return x.Forwards })))}
}

// kept returns the verdict on a reply that the capture did not let pass to the egress of its link.
func (s Snapshot) kept(r Request, t trace, e EgressObservation, end Observation) (c health.ProofCheck, wrong bool) {
	reply := t.packet(r, end)
	if policy, found := t.output.selects(egress.Out, reply); found {
		return policyCheck(r, policy), true
	}
	if c, wrong = t.checkTrafficControl(r, end); wrong {
		return c, true
	}
	n, found := t.output.FindNeighbour(e.Link, e.NextHop)
	gateway := r.Path.Gateway.WithZone("")
	if !t.wireObserved || e.NextHop != gateway || found && n.State.Valid() {
		return c, false
	}
	if c, found := t.listed(r, s.linkName(e.Link)); found {
		return c, true
	}
	if c, broken := t.undiscovered(r); broken {
		return c, true
	}
	if !found && t.output.FullTables[uplinks.FamilyOf(gateway)] {
		return s.neighboursFull(r, gateway), true
	}
	state := "no entry"
	if found {
		state = t.output.NeighbourText(n)
	}
	return health.ProofCheck{Result: health.Unknown, Cause: health.NeighbourCause, Remedy: fmt.Sprintf("check that the gateway is reachable: ping -I %s %s", r.Path.Link, gateway),
		Detail: fmt.Sprintf("the reply to %s waits for the hardware address of the gateway %s, which the kernel cannot resolve (ip neigh: %s)", r, gateway, state)}, true
}

// listed returns the verdict by a rule that takes all packets at the egress of the link, also those by which the kernel resolves
// the gateway.
func (t trace) listed(r Request, link string) (c health.ProofCheck, found bool) {
	for _, x := range t.steps {
		if !x.Listed || x.ByAddress {
			continue
		}
		switch {
		case x.Drops:
			return t.lost(r, "at the egress of "+link), true
		case x.Forwards:
			return t.redirected(r, "another interface"), true
		}
	}
	return c, false
}

// packet returns the reply as it was observed.
func (t trace) packet(r Request, x Observation) egress.Packet {
	return egress.Packet{Proto: r.ProtocolNumber(), From: x.Host, To: r.From, Mark: x.Mark, Link: x.Link}
}

// checkTrafficControl returns what filters and qdiscs do to the reply, which are behind the last place that can be observed.
func (t trace) checkTrafficControl(r Request, x Observation) (c health.ProofCheck, wrong bool) {
	effects := t.output.Effects(t.packet(r, x))
	if len(effects) == 0 {
		return c, false
	}
	e := effects[0]
	c = health.ProofCheck{Result: health.No, Cause: health.TrafficControl, Detail: fmt.Sprintf("the reply to %s does not leave as it is: %s %s", r, e.Text, e.Does),
		Remedy: "remove that filter or qdisc, or restrict it to packets that are no replies: tc filter del, tc qdisc del"}
	if !e.Certain {
		c.Result, c.Detail = health.Unknown, fmt.Sprintf("whether the reply to %s leaves is unknown: %s %s", r, e.Text, e.Does)
	}
	return c, true
}

// IPPROTO_*.
const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// ProtocolNumber returns the protocol of the request in its IP header.
func (r Request) ProtocolNumber() uint8 {
	switch {
	case r.Proto == "tcp":
		return protocolTCP
	case r.Proto == "udp":
		return protocolUDP
	case r.From.Addr().Is4():
		return protocolICMP
	}
	return protocolICMPv6
}
