package marks_test

import (
	"testing"

	"replypath/marks"
)

// A packet of an established connection that is not intercepted meets one rule, and a packet that the host sends one comparison.
func TestPacketThatIsNotInterceptedMeetsOneRule(t *testing.T) {
	const bit = marks.Mask(0x10)
	for _, n := range []struct {
		backend marks.Backend
		ipv6    bool
	}{{marks.NFT, false}, {marks.NFT, true}, {marks.Nftables, false}, {marks.Nftables, true}} {
		for _, c := range marks.InterceptLayout(n.backend, bit, n.ipv6, []marks.Intercept{{Name: "web", In: []marks.InterceptedLink{{Name: "lan0"}}}}) {
			want := marks.Rule{Ctmark: marks.MarkMatch{Mask: bit}, Packet: marks.PacketMatch{NotState: true, State: "NEW"}, Action: marks.Action{Kind: marks.Return}}
			if c.Name == marks.Proxied && c.Rules[0] != want {
				t.Errorf("%v: the first rule of %s is %s, want %s", n, c.Name, c.Rules[0], want)
			}
		}
	}
	pre, out := marks.InterceptJumps()
	if want := (marks.Rule{Action: marks.Action{Kind: marks.Jump, Chain: marks.Proxied}}); pre != want {
		t.Errorf("the jump of PREROUTING is %s, want %s", pre, want)
	}
	if want := (marks.PacketMatch{State: "NEW"}); out.Packet != want {
		t.Errorf("the jump of OUTPUT is %s", out)
	}
}
