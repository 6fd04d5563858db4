package proof

import (
	"net/netip"
	"slices"
)

// trace is the observations of one request and its reply.
type trace struct {
	hooks  map[Hook][]Observation
	egress []EgressObservation
	wire   []WireObservation
	steps  []Step

	output       *Output // what all replies have in common; nil: unknown
	wireObserved bool
}

// traces groups the observations by the peer's address and port.
func (o Observations) traces() map[netip.AddrPort]trace {
	all := map[netip.AddrPort]trace{}
	find := func(peer netip.Addr, port uint16) (netip.AddrPort, trace) {
		key := netip.AddrPortFrom(peer, port)
		t, ok := all[key]
		if !ok {
			t = trace{hooks: map[Hook][]Observation{}, output: o.Output, wireObserved: o.WireObserved}
		}
		return key, t
	}
	for _, x := range o.Hooks {
		key, t := find(x.Peer, x.Port)
		t.hooks[x.Hook] = append(t.hooks[x.Hook], x)
		all[key] = t
	}
	for _, e := range o.Egress {
		key, t := find(e.Peer, e.Port)
		t.egress = append(t.egress, e)
		all[key] = t
	}
	for _, w := range o.Wire {
		key, t := find(w.Peer, w.Port)
		t.wire = append(t.wire, w)
		all[key] = t
	}
	if o.Output == nil {
		return all
	}
	for _, x := range o.Output.Steps {
		key, t := find(x.Peer, x.Port)
		t.steps = append(t.steps, x)
		all[key] = t
	}
	return all
}

// Forwarded reports whether the request was forwarded to another host.
func (o Observations) Forwarded(r Request) bool {
	for _, x := range o.Hooks {
		if x.Hook == ForwardEnd && x.Peer == r.From.Addr() && x.Port == r.From.Port() {
			return true
		}
	}
	return false
}

// Taken reports whether the connection of the request was there before it: what another host has sent decides its mark.
func (o Observations) Taken(r Request) bool {
	for _, x := range o.Hooks {
		if x.Hook == PreroutingMarked && x.Taken && x.Peer == r.From.Addr() && x.Port == r.From.Port() {
			return true
		}
	}
	return false
}

// Misrouted reports whether a reply to the request would have left by another next hop than the path's. So may one reply of a path that
// works: a packet of another host with the same addresses and ports, which comes in by another uplink at the same moment, gives the
// connection that uplink's mark.
func (o Observations) Misrouted(r Request) bool {
	return slices.ContainsFunc(o.Egress, func(e EgressObservation) bool {
		return e.Peer == r.From.Addr() && e.Port == r.From.Port() && !r.rightNextHop(e)
	})
}

// Replied reports whether a reply to the request was on its way out.
func (o Observations) Replied(r Request) bool {
	return slices.ContainsFunc(o.Egress, func(e EgressObservation) bool { return e.Peer == r.From.Addr() && e.Port == r.From.Port() })
}

// RefusedLocally reports whether this host alone replied to a forwarded request, with an ICMP error.
func (o Observations) RefusedLocally(r Request) (refused bool) {
	for _, x := range o.Hooks {
		if x.Peer != r.From.Addr() || x.Port != r.From.Port() {
			continue
		}
		switch x.Hook {
		case ReplyPrerouting:
			return false
		case OutputStart:
			refused = true
		}
	}
	return refused
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

// replyLost reports whether the reply to the request was sent, or had to be sent by the kernel, and did not get to the egress.
func (s Snapshot) replyLost(r Request, t trace) bool {
	switch {
	case len(t.egress) > 0 || t.reached(RequestEgress):
		return false
	case t.reached(ReplyPrerouting) || t.reached(OutputStart):
		return true
	}
	ignored := r.Kind == Echo && s.Values[echoIgnored[r.Path.Family]] == "1"
	return t.reached(InputEnd) && r.Kind != Service && !ignored
}
