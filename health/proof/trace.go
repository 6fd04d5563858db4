package proof

import (
	"net/netip"

	"replypath/marks"
)

// trace is the observations of one request and its reply.
type trace struct {
	hooks  map[Hook][]Observation
	egress []EgressObservation
}

// traces groups the observations by the peer's address and port.
func (o Observations) traces() map[netip.AddrPort]trace {
	all := map[netip.AddrPort]trace{}
	find := func(peer netip.Addr, port uint16) (netip.AddrPort, trace) {
		key := netip.AddrPortFrom(peer, port)
		t, ok := all[key]
		if !ok {
			t.hooks = map[Hook][]Observation{}
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

// ctmarkSet reports whether the connection had the mark at the hook.
func (t trace) ctmarkSet(h Hook, mark marks.Mark, mask marks.Mask) bool {
	for _, x := range t.hooks[h] {
		if x.Ctmark&uint32(mask) == uint32(mark) {
			return true
		}
	}
	return false
}

// markRestored reports whether each packet at the hook had the mark if its connection had it.
func (t trace) markRestored(h Hook, mark marks.Mark, mask marks.Mask) bool {
	for _, x := range t.hooks[h] {
		if x.Ctmark&uint32(mask) == uint32(mark) && x.Mark&uint32(mask) != uint32(mark) {
			return false
		}
	}
	return true
}
