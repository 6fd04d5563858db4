package outbound

import (
	"testing"

	"replypath/test/box"
	"replypath/uplinks"
)

// A policy that avoids degraded uplinks sends new connections by another one while probes get lost, and comes back when they no
// longer are. Open connections stay.
func TestDegradedUplinkIsAvoided(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	g.probeServer()
	g.Settings = append(g.Settings, `loss = [20, 10]`)
	for i, line := range g.Settings {
		if line == "fall = 2" {
			g.Settings[i] = "fall = 20"
		}
	}
	g.outbound(balanced(`[["isp0"], ["isp1"]]`, "avoid_degraded = true")...)
	s := g.startProbed()
	g.awaitUplink(t, g.LAN, 0)
	held := g.hold(t, g.LAN, 3)
	lose := func(how string) {
		g.Uplinks[0].ISP.Run("iptables", how, "FORWARD", "-p", "icmp", "--icmp-type", "echo-request", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "DROP")
		g.Uplinks[0].ISP.Run("ip6tables", how, "FORWARD", "-p", "ipv6-icmp", "--icmpv6-type", "echo-request", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "DROP")
	}
	lose("-A")
	g.awaitUplink(t, g.LAN, 1)
	box.Eventually(t, box.EventualTimeout, "the status says why", func() bool {
		p, _ := g.policyOf()
		return p.Tier == 2 && p.Members[0].State == uplinks.MemberDegraded && p.Reason == "isp0 is degraded"
	})
	for _, cs := range held {
		if n := cs.Alive(box.EventualTimeout); n != 3 {
			t.Errorf("%d of 3 open connections go on", n)
		}
	}
	lose("-D")
	g.awaitUplink(t, g.LAN, 0)
	g.wantNoForeign(t)
	s.Stop()
}
