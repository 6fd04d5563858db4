package proof

import (
	"net/netip"
	"slices"

	"replypath/uplinks/egress"
)

// trace is the observations of one request and its reply.
type trace struct {
	hooks  byHook
	egress []EgressObservation
	wire   []WireObservation
	steps  []Step

	output       *Output // what all replies have in common; nil: unknown
	wireObserved bool
}

// byHook are observations at each hook.
type byHook [PostroutingPassed + 1][]Observation

// traceKey is what a request and all packets that belong to it have in common, also where the host's address is translated.
type traceKey struct {
	proto uint8
	peer  netip.AddrPort
}

// Traces are the observations by request. Steps, which are those of the rules that packets matched, have no protocol.
type Traces struct {
	all   map[traceKey]*trace
	steps map[netip.AddrPort][]Step
	empty trace // without observations
}

// observationsPerRequest is about how often a request is observed with its reply.
const observationsPerRequest = 6

// Traces groups the observations by protocol, and by the peer's address and port.
func (o Observations) Traces() Traces {
	g := Traces{make(map[traceKey]*trace, len(o.Hooks)/observationsPerRequest), map[netip.AddrPort][]Step{}, trace{output: o.Output, wireObserved: o.WireObserved}}
	at := func(proto uint8, peer netip.Addr, port uint16) *trace {
		key := traceKey{proto, netip.AddrPortFrom(peer, port)}
		t, ok := g.all[key]
		if !ok {
			t = new(trace)
			g.all[key] = t
		}
		return t
	}
	for i, x := range o.Hooks {
		if t := at(x.Proto, x.Peer, x.Port); t.hooks[x.Hook] == nil {
			t.hooks[x.Hook] = o.Hooks[i : i+1 : i+1]
		} else {
			t.hooks[x.Hook] = append(t.hooks[x.Hook], x)
		}
	}
	for _, e := range o.Egress {
		t := at(e.Proto, e.Peer, e.Port)
		t.egress = append(t.egress, e)
	}
	for _, w := range o.Wire {
		t := at(w.Proto, w.Peer, w.Port)
		t.wire = append(t.wire, w)
	}
	if o.Output != nil {
		for _, x := range o.Output.Steps {
			peer := netip.AddrPortFrom(x.Peer, x.Port)
			g.steps[peer] = append(g.steps[peer], x)
		}
	}
	return g
}

// of returns the observations of the request and its replies: the request came in by the path, and was for the address that was
// asked until that was translated; replies are from the port that was asked, or that it was delivered to.
func (g Traces) of(r Request) trace {
	t := g.empty
	t.steps = g.steps[r.From]
	found, ok := g.all[traceKey{r.ProtocolNumber(), r.From}]
	if !ok {
		return t
	}
	t.wire = found.wire
	for hook := PreroutingStart; hook < ReplyPrerouting; hook++ {
		t.hooks[hook] = matching(found.hooks[hook], func(x *Observation) bool { return g.isRequest(r, *x) })
	}
	server := t.deliveredTo().Port()
	for hook := ReplyPrerouting; hook <= PostroutingPassed; hook++ {
		t.hooks[hook] = found.hooks[hook]
		if hook < PostroutingEnd { // there it may be rewritten
			t.hooks[hook] = matching(t.hooks[hook], func(x *Observation) bool { return r.isFrom(x.Host.Port(), server) })
		}
	}
	t.egress = matching(found.egress, func(e *EgressObservation) bool { return r.isFrom(e.Sport, server) })
	t.dropCopies()
	return t
}

// dropCopies drops the observations of copies that firewall rules send of replies (TEE, dup): these are exempt from connection tracking,
// and the replies, which are in POSTROUTING too, are not.
func (t *trace) dropCopies() {
	tracked := matching(t.egress, func(e *EgressObservation) bool { return e.State&StateUntracked == 0 })
	if len(tracked) == 0 || len(tracked) == len(t.egress) {
		return
	}
	t.egress = tracked
	for hook := OutputStart; hook <= OutputEnd; hook++ {
		t.hooks[hook] = matching(t.hooks[hook], func(x *Observation) bool { return x.State&StateUntracked == 0 })
	}
}

// matching returns the elements that match: the same slice where all do, as in most traces.
func matching[T any](all []T, matches func(*T) bool) (some []T) {
	for i := range all {
		if matches(&all[i]) {
			continue
		}
		some = slices.Clone(all[:i])
		for k := i + 1; k < len(all); k++ {
			if matches(&all[k]) {
				some = append(some, all[k])
			}
		}
		return some
	}
	return all
}

// isRequest reports whether the observation may be of the request, and not of a packet that others have sent with its secret: it has
// the ingress link, or the bridge that this is a port of, and at first the address of the request.
func (g Traces) isRequest(r Request, x Observation) bool {
	byPath := x.Hook == RequestEgress || x.Link == r.Path.Index // RequestEgress has the egress link
	if o := g.empty.output; o == nil || o.Links[r.Path.Index].Master != 0 && o.Links[r.Path.Index].Master == x.Link {
		byPath = true
	}
	return byPath && (x.Hook != PreroutingStart || x.Host == r.To)
}

// isFrom reports whether a reply from the port may be one to the request. server is the port that it was delivered to.
func (r Request) isFrom(port, server uint16) bool {
	return r.To.Port() == 0 || port == r.To.Port() || port == server
}

// Forwarded reports whether the request was forwarded to another host.
func (g Traces) Forwarded(r Request) bool { return g.of(r).reached(ForwardEnd) }

// Taken reports whether the connection of the request was there before it: what another host has sent decides its mark.
func (g Traces) Taken(r Request) bool { return g.of(r).taken() }

// Misrouted reports whether a reply to the request would have left by another next hop than the path's. So may one reply of a path that
// works: a packet of another host with the same addresses and ports, which comes in by another uplink at the same moment, gives the
// connection that uplink's mark.
func (g Traces) Misrouted(r Request) bool {
	return slices.ContainsFunc(g.of(r).egress, func(e EgressObservation) bool { return !r.rightNextHop(e) })
}

// Replied reports whether a reply to the request was on its way out.
func (g Traces) Replied(r Request) bool { return len(g.of(r).egress) > 0 }

// NeighboursAwaited returns the neighbours of replies that the capture let pass and that did not come to the egress of their link: such a
// reply waits for the neighbour's hardware address, or was dropped on its way.
func (g Traces) NeighboursAwaited(r Request) (all []egress.LinkAddr) {
	t := g.of(r)
	if !t.wireObserved || len(t.wire) > 0 || !t.reached(PostroutingPassed) {
		return nil
	}
	for _, e := range t.egress {
		all = append(all, egress.LinkAddr{Link: e.Link, Addr: e.NextHop})
	}
	return all
}

// RepliedInside reports whether the host inside that the request was forwarded to has replied.
func (g Traces) RepliedInside(r Request) bool { return g.of(r).reached(ReplyPrerouting) }

// RefusedLocally reports whether this host alone replied to a forwarded request, with an ICMP error.
func (g Traces) RefusedLocally(r Request) bool {
	t := g.of(r)
	return t.reached(OutputStart) && !t.reached(ReplyPrerouting)
}

// reached reports whether a packet was observed at the hook.
func (t trace) reached(h Hook) bool { return len(t.hooks[h]) > 0 }

// taken reports whether the connection was there before the request.
func (t trace) taken() bool {
	for _, x := range t.hooks[PreroutingMarked] {
		if x.Taken {
			return true
		}
	}
	return false
}

// markRight reports whether the request and its connection have the mark of the path behind mangle in PREROUTING.
func (t trace) markRight(r Request) bool {
	return !slices.ContainsFunc(t.hooks[PreroutingMarked], func(x Observation) bool { return !r.hasMark(x.Mark) || !r.hasMark(x.Ctmark) })
}

// requestZone returns the zone of connection tracking of the request.
func (t trace) requestZone() uint16 {
	for _, hook := range []Hook{InputEnd, ForwardEnd} {
		for _, x := range t.hooks[hook] {
			return x.Zone
		}
	}
	return 0
}

// initialMark returns the mark that the reply has before the chains of the hook.
func (t trace) initialMark(hook string) uint32 {
	if hook == "OUTPUT" {
		for _, x := range t.hooks[OutputStart] {
			return x.Mark
		}
	}
	return 0
}

// deliveredTo returns the address at which the server got the request: behind DNAT it is not the one that was asked.
func (t trace) deliveredTo() netip.AddrPort {
	for _, hook := range []Hook{InputEnd, ForwardEnd} {
		for _, x := range t.hooks[hook] {
			return x.Host
		}
	}
	return netip.AddrPort{}
}

// repliedFrom returns the source of the server's reply.
func (t trace) repliedFrom() netip.Addr {
	for _, hook := range []Hook{ReplyPrerouting, OutputStart} {
		for _, x := range t.hooks[hook] {
			return x.Host.Addr()
		}
	}
	return netip.Addr{}
}

// replyLost reports whether the reply to the request was sent, or had to be sent by the kernel, and did not get to the egress; or
// whether the request would have left by an uplink.
func (s Snapshot) replyLost(r Request, t trace) bool {
	switch {
	case len(t.egress) > 0:
		return false
	case t.reached(RequestEgress): // what becomes of it is not known
		return true
	case t.reached(ReplyPrerouting) || t.reached(OutputStart):
		return true
	case t.reached(ForwardEnd):
		_, taken := t.takenAtIngress(r)
		return taken
	}
	ignored := r.Kind == Echo && s.Values[echoIgnored[r.Path.Family]] == "1"
	elsewhere := r.Kind == Proxied && r.Proto == "udp" && !t.proxied(r) // a server of any kind has got it
	return t.reached(InputEnd) && r.Kind != Service && !elsewhere && !ignored
}
