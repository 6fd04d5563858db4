package proof_test

import (
	"net/netip"
	"testing"

	"replypath/health/proof"
	"replypath/uplinks/egress"
)

func TestRefusedLocally(t *testing.T) {
	peer, other := netip.MustParseAddr("203.0.113.254"), netip.MustParseAddr("203.0.113.253")
	q := proof.Request{Proto: "icmp", From: netip.AddrPortFrom(peer, 7)}
	at := func(hook proof.Hook, peer netip.Addr, port uint16) proof.Observation {
		return proof.Observation{Hook: hook, Proto: 1, Peer: peer, Port: port}
	}
	for name, c := range map[string]struct {
		hooks []proof.Observation
		want  bool
	}{
		"no reply":                          {[]proof.Observation{at(proof.ForwardEnd, peer, 7)}, false},
		"an ICMP error of the host":         {[]proof.Observation{at(proof.ForwardEnd, peer, 7), at(proof.OutputStart, peer, 7)}, true},
		"a reply of the other host":         {[]proof.Observation{at(proof.ReplyPrerouting, peer, 7)}, false},
		"a reply, and an error":             {[]proof.Observation{at(proof.OutputStart, peer, 7), at(proof.ReplyPrerouting, peer, 7)}, false},
		"an error for another port or peer": {[]proof.Observation{at(proof.OutputStart, peer, 8), at(proof.OutputStart, other, 7)}, false},
	} {
		if got := (proof.Observations{Hooks: c.hooks}).Traces().RefusedLocally(q); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Packets that others have sent at the same time are none of the request, and none of its replies.
func TestPacketsOfOthersAreNoPartOfATrace(t *testing.T) {
	q := proof.Request{Path: lte, Kind: proof.Datagram, Proto: "udp", From: peer, To: netip.AddrPortFrom(lte.Source, 5000)}
	inside := netip.MustParseAddrPort("198.18.0.2:53")
	request := func(hook proof.Hook, link int, host netip.AddrPort) proof.Observation {
		return proof.Observation{Hook: hook, Proto: 17, Peer: peer.Addr(), Port: peer.Port(), Link: link, Host: host, Taken: true}
	}
	reply := func(proto uint8, from netip.AddrPort) proof.EgressObservation {
		return proof.EgressObservation{Proto: proto, Peer: peer.Addr(), Port: peer.Port(), Source: from.Addr(), Sport: from.Port(), Link: 2}
	}
	for name, c := range map[string]struct {
		hook      proof.Observation
		egress    proof.EgressObservation
		taken     bool
		forwarded bool
		misrouted bool
	}{
		"its own":               {hook: request(proof.PreroutingMarked, lte.Index, q.To), egress: reply(17, q.To), taken: true, misrouted: true},
		"by another uplink":     {hook: request(proof.PreroutingMarked, 2, q.To)},
		"by the bridge of it":   {hook: request(proof.PreroutingMarked, 9, q.To), taken: true},
		"behind DNAT":           {hook: request(proof.ForwardEnd, lte.Index, inside), egress: reply(17, inside), forwarded: true, misrouted: true},
		"of another port":       {egress: reply(17, netip.AddrPortFrom(q.To.Addr(), 53))},
		"of another protocol":   {egress: reply(6, q.To)},
		"from another address":  {egress: reply(17, netip.AddrPortFrom(inside.Addr(), q.To.Port())), misrouted: true},
		"forwarded for another": {hook: request(proof.ForwardEnd, 2, inside), egress: reply(17, inside)},
	} {
		output := &proof.Output{State: egress.State{Links: map[int]egress.Link{lte.Index: {Index: lte.Index, Master: 9}}}}
		g := proof.Observations{Hooks: []proof.Observation{c.hook}, Egress: []proof.EgressObservation{c.egress}, Output: output}.Traces()
		if taken, forwarded, misrouted := g.Taken(q), g.Forwarded(q), g.Misrouted(q); taken != c.taken || forwarded != c.forwarded || misrouted != c.misrouted {
			t.Errorf("%s: taken %t, forwarded %t, misrouted %t", name, taken, forwarded, misrouted)
		}
	}
}
