package explain

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestExplainListenPredictsReplies(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	const chosen, bound = 7001, 7002
	b.Gateway.ServeTCP(box.ServedPort)
	b.Gateway.ServeUDP(chosen, world.Wildcard)
	second := b.Uplinks[1].Addrs()[0]
	b.Gateway.ServeUDPAt(netip.AddrPortFrom(second, bound))

	var right []string
	for _, u := range b.Uplinks {
		for _, a := range u.Addrs() {
			right = append(right, fmt.Sprintf("request to %s by %s (uplink isp%d) reply from %s by %s (uplink isp%d) right", a, u.Link.Name, u.Index, a, u.Link.Name, u.Index))
		}
	}
	b.Explain(t, 0, []string{"--listen", fmt.Sprintf("%d/tcp", box.ServedPort)}, append(right, fmt.Sprintf("process %d", os.Getpid()))...)
	b.Explain(t, 0, []string{"--listen", fmt.Sprintf("%s/udp", netip.AddrPortFrom(second, bound))}, right[2], "udp "+second.String())

	// A client confirms the kernel's choice of source: it gets no right reply from the second uplink.
	for _, a := range b.Uplinks[1].Addrs() {
		first := b.Uplinks[0].Addrs()[box.FamilyOf(a)/6]
		b.Explain(t, 3, []string{"--listen", fmt.Sprintf(":%d/udp", chosen), "--from", b.ClientAddr(a).String()},
			"the kernel chooses the source of its replies",
			fmt.Sprintf("request to %s by eth1 (uplink isp1) reply from %s by eth0 (uplink isp0) WRONG", a, first),
			fmt.Sprintf("request to %s by eth0 (uplink isp0) reply from %s by eth0 (uplink isp0) right", first, first), "remedy: ")
		for to, want := range map[netip.Addr]bool{a: false, first: true} {
			q := world.Request{Kind: world.KindUDP, To: netip.AddrPortFrom(to, chosen), ExpectTimeout: !want}
			if got := b.Client.Send(q); got.OK != want {
				t.Errorf("a question to %s: %v", to, got)
			}
		}
	}
	b.Explain(t, 3, []string{"--json", "--listen", fmt.Sprintf("%d/udp", chosen)}, `"kernel_chooses_source": true`, `"right": false`)
	b.Explain(t, 1, []string{"--listen", "9/udp"}, "udp port 9: no socket listens there")
	for _, words := range [][]string{{"9"}, {"9/sctp"}, {"0/udp"}, {"x/udp"}, {"9/udp", "203.0.113.9"}} {
		b.Explain(t, 2, append([]string{"--listen"}, words...))
	}
}
