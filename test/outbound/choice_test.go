package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// Of many flows each uplink gets the share of its weight. Datagrams without a reply are enough: the ISPs count them.
func TestWeightsAreKept(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0:3", "isp1:1"]]`)...)
		g.Gateway.SetSysctl("net.ipv4.fib_multipath_hash_policy", "1")
		g.Gateway.SetSysctl("net.ipv6.fib_multipath_hash_policy", "1")
		g.Apply()
		for _, to := range g.servers() {
			g.wantShare(t, to, 10000, 75)
		}
		g.wantNoForeign(t)
	})
}

// wantShare sends datagrams to the server, each from a port of its own, and wants this part of them, within 3 per cent of all, by the
// first uplink.
func (g *gateway) wantShare(t *testing.T, to netip.Addr, flows int, want float64) {
	t.Helper()
	toServer := func(p world.Packet) bool { return p.Dir == world.In && p.To(to) && p.Proto == world.UDP }
	var wires []*world.Recorder
	for _, u := range g.Uplinks {
		wires = append(wires, u.Wire.Record(toServer))
	}
	g.LAN.Do(func() {
		for i := range flows {
			c, err := net.ListenUDP("udp", &net.UDPAddr{Port: 20000 + i})
			if err != nil {
				t.Error(err)
				return
			}
			c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(to, box.ClosedPort))
			c.Close()
		}
	})
	g.Settle()
	first, second := wires[0].Count(toServer), wires[1].Count(toServer)
	if first+second < flows*9/10 {
		t.Fatalf("%d and %d of %d datagrams arrived", first, second, flows)
	}
	if share := 100 * float64(first) / float64(first+second); share < want-3 || share > want+3 {
		t.Errorf("to %s: %.1f %% by the first uplink, want %.0f", to, share, want)
	}
}

// With sticky clients every sender keeps its uplink, and both uplinks have senders; those of the gateway's own connections use
// both.
func TestStickyClientsKeepTheirUplink(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0", "isp1"]]`, `sticky = "client"`)...)
		g.Gateway.SetSysctl("net.ipv4.fib_multipath_hash_policy", "1")
		g.Gateway.SetSysctl("net.ipv6.fib_multipath_hash_policy", "1")
		const clients = 30
		for i := range clients {
			g.LAN.Run("ip", "addr", "add", fmt.Sprintf("198.18.0.%d/24", 100+i), "dev", "eth0")
			g.LAN.Run("ip", "addr", "add", fmt.Sprintf("2001:db8:f::%d/64", 100+i), "dev", "eth0", "nodad")
		}
		g.Apply()
		for _, to := range g.servers() {
			by := map[int]int{}
			for i := range clients {
				from := netip.MustParseAddr(fmt.Sprintf("198.18.0.%d", 100+i))
				if to.Is6() {
					from = netip.MustParseAddr(fmt.Sprintf("2001:db8:f::%d", 100+i))
				}
				uplink := -1
				for range 4 {
					q := box.NewRequest(world.KindUDP, to)
					q.From, q.Timeout = netip.AddrPortFrom(from, 0), 20*time.Second
					a := g.LAN.Send(q)
					if !a.OK {
						t.Fatalf("from %s: %v", from, a)
					}
					if u := g.uplinkOf(a.Peer.Addr()); uplink >= 0 && u != uplink {
						t.Errorf("%s used uplinks %d and %d", from, uplink, u)
					} else {
						uplink = u
					}
				}
				by[uplink]++
			}
			if by[0] < 5 || by[1] < 5 {
				t.Errorf("of %d senders to %s the uplinks have %v", clients, to, by)
			}
			if own := g.send(t, g.Gateway, world.KindUDP, to, 30); own[0] == 0 || own[1] == 0 {
				t.Errorf("the gateway's own connections: %v by each uplink", own)
			}
		}
		g.wantNoForeign(t)
	})
}

// Rules choose by each selector, in the order of the file.
func TestRulesChooseThePolicy(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0], `default = "isp0"`, `masquerade = "both"`,
		"[outbound.rules.port]", `ipproto = "udp"`, fmt.Sprintf("dport = %d", box.ServedPort), `iif = "lan0"`, `use = "isp1"`,
		"[outbound.rules.user]", `uidrange = "4242"`, `use = "isp1"`,
		"[outbound.rules.device]", `from = ["198.18.0.99", "2001:db8:f::99"]`, `use = "prohibit"`)
	g.Apply()
	for _, to := range g.servers() {
		for _, c := range []struct {
			from   *world.Host
			kind   world.Kind
			uplink int
		}{
			{g.LAN, world.KindUDP, 1}, {g.LAN, world.KindTCP, 0}, {g.Gateway, world.KindUDP, 0},
		} {
			if share := g.send(t, c.from, c.kind, to, 3); share[c.uplink] != 3 {
				t.Errorf("%s from %s to %s: %v by each uplink", c.kind, c.from.Name, to, share)
			}
		}
		if peer := g.peerOfUser(t, 4242, to); g.uplinkOf(peer) != 1 {
			t.Errorf("the user's connection to %s came from %s", to, peer)
		}
		if peer := g.peerOfDevice(t, "eth1", to); g.uplinkOf(peer) != 1 {
			t.Errorf("the connection to %s that is bound to eth1 came from %s", to, peer)
		}
	}
	g.LAN.Run("ip", "addr", "add", "198.18.0.99/24", "dev", "eth0")
	q := box.NewRequest(world.KindTCP, g.Client4)
	q.From, q.Timeout = netip.MustParseAddrPort("198.18.0.99:0"), 10*time.Second
	if a := g.LAN.Send(q); a.OK {
		t.Errorf("a prohibited sender: %v", a)
	}
	g.wantNoForeign(t)
}

// dialTCP connects from the gateway, with a change of the socket, and returns the source address.
func (g *gateway) dialTCP(t *testing.T, to netip.Addr, change func(fd int) error) (local netip.Addr) {
	t.Helper()
	g.Gateway.Do(func() {
		var failed error
		d := net.Dialer{Timeout: 20 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
			err := c.Control(func(fd uintptr) { failed = change(int(fd)) })
			if err == nil {
				err = failed
			}
			return err
		}}
		c, err := d.Dial("tcp", netip.AddrPortFrom(to, box.ServedPort).String())
		if err != nil {
			t.Errorf("connect to %s: %v", to, err)
			return
		}
		defer c.Close()
		local = c.LocalAddr().(*net.TCPAddr).AddrPort().Addr()
	})
	return local
}

// peerOfUser returns the source of a connection whose socket belongs to the user.
func (g *gateway) peerOfUser(t *testing.T, uid int, to netip.Addr) netip.Addr {
	return g.dialTCP(t, to, func(fd int) error { return syscall.Fchown(fd, uid, uid) })
}

// peerOfDevice returns the source of a connection whose socket is bound to the link.
func (g *gateway) peerOfDevice(t *testing.T, link string, to netip.Addr) netip.Addr {
	return g.dialTCP(t, to, func(fd int) error { return syscall.BindToDevice(fd, link) })
}

// What is sent without address translation from a network that one provider routes takes that provider.
func TestPrefixesTakeTheirProvider(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0])
	for i, u := range g.Uplinks {
		prefix := netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/64", 0xf1+i))
		g.Delegate(u, prefix)
		g.Gateway.Run("ip", "-6", "addr", "add", fmt.Sprintf("2001:db8:%x::1/64", 0xf1+i), "dev", "lan0", "nodad")
		g.LAN.Run("ip", "-6", "addr", "add", fmt.Sprintf("2001:db8:%x::2/64", 0xf1+i), "dev", "eth0", "nodad")
		g.uplinkKeys[i] = fmt.Sprintf("prefixes = [%q]\n", prefix)
	}
	g.outbound(`default = "all"`, "[outbound.policies.all]", `tiers = [["isp0", "isp1"]]`)
	g.Apply()
	for i := range g.Uplinks {
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::2", 0xf1+i))
		for range 10 {
			q := box.NewRequest(world.KindTCP, g.Client6)
			q.From, q.Timeout = netip.AddrPortFrom(from, 0), 20*time.Second
			if a := g.LAN.Send(q); !a.OK || a.Peer.Addr() != from {
				t.Fatalf("from %s: %v", from, a)
			}
		}
	}
	g.wantNoForeign(t)
}
