package proof

import (
	"net/netip"

	"replypath/marks"
)

// trace is how far a question and its answer came.
type trace struct {
	hooks  map[Hook][]Observation
	egress []EgressObservation
}

// traces are all that was seen, by who asked and under which number.
func (s Observations) traces() map[netip.AddrPort]trace {
	all := map[netip.AddrPort]trace{}
	find := func(peer netip.Addr, port uint16) (netip.AddrPort, trace) {
		key := netip.AddrPortFrom(peer, port)
		w, ok := all[key]
		if !ok {
			w.hooks = map[Hook][]Observation{}
		}
		return key, w
	}
	for _, x := range s.Hooks {
		key, w := find(x.Peer, x.Port)
		w.hooks[x.Hook] = append(w.hooks[x.Hook], x)
		all[key] = w
	}
	for _, d := range s.Egress {
		key, w := find(d.Peer, d.Port)
		w.egress = append(w.egress, d)
		all[key] = w
	}
	return all
}

// Forwarded reports whether the question was passed on to another host.
func (s Observations) Forwarded(q Request) bool {
	for _, x := range s.Hooks {
		if x.Hook == ForwardEnd && x.Peer == q.From.Addr() && x.Port == q.From.Port() {
			return true
		}
	}
	return false
}

// RefusedLocally reports whether a forwarded request was answered by the host itself, with an ICMP error, and by no other host.
func (s Observations) RefusedLocally(q Request) (refused bool) {
	for _, x := range s.Hooks {
		if x.Peer != q.From.Addr() || x.Port != q.From.Port() {
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

// reached reports whether anything of it was seen there.
func (w trace) reached(p Hook) bool { return len(w.hooks[p]) > 0 }

// ctmarkSet reports whether the connection had the mark there.
func (w trace) ctmarkSet(p Hook, mark marks.Mark, mask marks.Mask) bool {
	for _, x := range w.hooks[p] {
		if x.Ctmark&uint32(mask) == uint32(mark) {
			return true
		}
	}
	return false
}

// markRestored reports whether each packet there whose connection had the mark wore it too.
func (w trace) markRestored(p Hook, mark marks.Mark, mask marks.Mask) bool {
	for _, x := range w.hooks[p] {
		if x.Ctmark&uint32(mask) == uint32(mark) && x.Mark&uint32(mask) != uint32(mark) {
			return false
		}
	}
	return true
}
