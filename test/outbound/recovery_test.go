package outbound

import (
	"net/netip"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// wantAlive wants that all connections go on.
func wantAlive(t *testing.T, after string, n int, all []*world.Connections) {
	t.Helper()
	for _, cs := range all {
		if alive := cs.Alive(time.Minute); alive != n {
			t.Errorf("after %s %d of %d connections go on", after, alive, n)
		}
	}
}

// startOnFirst starts the service on a gateway whose connections begin by the first uplink.
func startOnFirst(t *testing.T, backend string) (*gateway, *box.Service) {
	t.Helper()
	g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
	s := g.Start()
	g.AwaitInSync()
	g.awaitUplink(t, g.LAN, 0)
	return g, s
}

// With failover = "keep" the connections of an uplink that failed stay on it, and go on when it is back.
func TestConnectionsAreKeptOnAnUplinkThatFails(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startTiers(t, backend, `failover = "keep"`)
		g.awaitUplink(t, g.LAN, 0)
		held := g.hold(t, g.LAN, 5)
		box.SetBlackHole(g.Uplinks[0], true)
		g.awaitUplink(t, g.LAN, 1)
		if n4, n6 := g.pinned(4, 0), g.pinned(6, 0); n4 < 5 || n6 < 5 {
			t.Errorf("%d and %d connections are pinned to the uplink that failed", n4, n6)
		}
		box.SetBlackHole(g.Uplinks[0], false)
		wantAlive(t, "the black hole", 5, held)
		g.awaitUplink(t, g.LAN, 0)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// Connections without address translation go on by another uplink, when theirs fails.
func TestUntranslatedConnectionsMoveByTheirMark(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		prefix, own := netip.MustParsePrefix("2001:db8:f1::/64"), netip.MustParseAddr("2001:db8:f1::2")
		g.Carry(g.Uplinks[0], prefix)
		g.Delegate(g.Uplinks[1], prefix)
		g.Gateway.Run("ip", "-6", "addr", "add", "2001:db8:f1::1/64", "dev", "lan0", "nodad")
		g.LAN.Run("ip", "-6", "addr", "add", own.String()+"/64", "dev", "eth0", "nodad")
		g.probeServer()
		g.outbound(`default = "all"`, `masquerade = "ipv4"`, "[outbound.policies.all]", `tiers = [["isp0"], ["isp1"]]`)
		s := g.startProbed()
		q := box.NewRequest(world.KindTCP, g.Client6)
		q.From = netip.AddrPortFrom(own, 0)
		cs, err := g.LAN.Connect(q, 5)
		if err != nil {
			t.Fatal(err)
		}
		if n := g.pinned(6, 0); n < 5 {
			t.Fatalf("%d connections are pinned to the first uplink", n)
		}
		box.SetBlackHole(g.Uplinks[0], true)
		box.Eventually(t, box.EventualTimeout, "the connections go on by the second uplink", func() bool {
			return cs.Alive(time.Second) == 5 && g.pinned(6, 0) == 0 && g.pinned(6, 1) >= 5
		})
		box.SetBlackHole(g.Uplinks[0], false)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// Policies are repaired after another program has deleted everything: open connections go on, by the uplinks that they had.
func TestPoliciesAreRepaired(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startOnFirst(t, backend)
		held := g.hold(t, g.LAN, 5)
		if backend != box.Backends[1] {
			g.Shell("nft flush ruleset")
		} else {
			for _, family := range []int{4, 6} {
				g.Iptables(family, "-t", "mangle", "-F")
				g.Iptables(family, "-t", "nat", "-F")
			}
		}
		for _, family := range []string{"-4", "-6"} {
			g.Gateway.Run("ip", family, "rule", "flush", "protocol", "82")
		}
		box.Eventually(t, box.EventualTimeout, "everything is repaired", func() bool { return g.Run("plan").Status == 0 })
		g.awaitUplink(t, g.LAN, 0)
		wantAlive(t, "the repair", 5, held)
		if n4, n6 := g.pinned(4, 0), g.pinned(6, 0); n4 < 5 || n6 < 5 {
			t.Errorf("%d and %d connections are pinned", n4, n6)
		}
		for _, to := range g.servers() {
			if share := g.send(t, g.LAN, world.KindTCP, to, 5); share[0] != 5 {
				t.Errorf("to %s: %v by each uplink", to, share)
			}
		}
		g.wantNoForeign(t)
		s.Stop()
	})
}

// A reload of other policies disturbs no open connection: neither those that began inside, nor those from outside.
func TestReloadDisturbsNoConnection(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0:3", "isp1:1"]]`)...)
		g.Gateway.ServeTCP(box.ServedPort)
		s := g.Start()
		g.AwaitInSync()
		inbound := g.StartConnections(t, 4, g.Uplinks...)
		held := g.hold(t, g.LAN, 10)
		for _, tiers := range []string{`[["isp1"], ["isp0"]]`, `[["isp0:1", "isp1:9"]]`, `[["isp0"]]`} {
			g.outbound(balanced(tiers)...)
			g.Must(0, "reload")
			g.AwaitInSync()
			wantAlive(t, "a reload", 10, held)
		}
		g.awaitUplink(t, g.LAN, 0)
		inbound.WantUndisturbed(t)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// New addresses of an uplink, such as by DHCP, are used at once: nothing is sent with those before. What has come in to those is not ended:
// it goes on when they are back.
func TestNewAddressOfAnUplinkIsUsed(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startOnFirst(t, backend)
		g.Gateway.ServeTCP(box.ServedPort)
		g.hold(t, g.LAN, 3)
		u := g.Uplinks[0]
		var inbound []*world.Connections
		for _, to := range u.Addrs() {
			cs, err := g.Client.Connect(box.NewRequest(world.KindTCP, to), 2)
			if err != nil {
				t.Fatal(err)
			}
			inbound = append(inbound, cs)
		}
		before4, before6 := u.Addr4.String()+"/24", u.Addr6.String()+"/64"
		u.Addr4, u.Addr6 = netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("2001:db8:a::77")
		g.Shell("ip addr del "+before4+" dev eth0", "ip -6 addr del "+before6+" dev eth0",
			"ip addr add 198.51.100.77/24 dev eth0", "ip -6 addr add 2001:db8:a::77/64 dev eth0 nodad")
		g.awaitUplink(t, g.LAN, 0)
		g.awaitUplink(t, g.Gateway, 0)
		g.AwaitInSync()
		for _, to := range g.servers() {
			if share := g.send(t, g.LAN, world.KindTCP, to, 10); share[0] != 10 {
				t.Errorf("to %s: %v by each uplink", to, share)
			}
		}
		g.wantNoForeign(t)
		g.Shell("ip addr add "+before4+" dev eth0", "ip -6 addr add "+before6+" dev eth0 nodad")
		wantAlive(t, "the return of their address", 2, inbound)
		s.Stop()
	})
}
