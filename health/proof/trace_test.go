package proof_test

import (
	"net/netip"
	"testing"

	"replypath/health/proof"
)

func TestRefusedLocally(t *testing.T) {
	peer, other := netip.MustParseAddr("203.0.113.254"), netip.MustParseAddr("203.0.113.253")
	q := proof.Request{From: netip.AddrPortFrom(peer, 7)}
	at := func(hook proof.Hook, peer netip.Addr, port uint16) proof.Observation {
		return proof.Observation{Hook: hook, Peer: peer, Port: port}
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
		if got := (proof.Observations{Hooks: c.hooks}).RefusedLocally(q); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
