package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// Of 10,000 flows of 2000 senders each uplink gets the share of its weight, and each sender uses one uplink only.
func TestStickyClientsKeepTheWeights(t *testing.T) {
	t.Parallel()
	const clients, flows, firstPort = 2000, 5, 20000
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0:3", "isp1:1"]]`, `sticky = "client"`)...)
		g.Gateway.SetSysctl("net.ipv4.fib_multipath_hash_policy", "1")
		g.Gateway.SetSysctl("net.ipv6.fib_multipath_hash_policy", "1")
		for family, network := range map[string]string{"-4": "198.19.0.0/16", "-6": "2001:db8:fc::/64"} {
			via := map[string]netip.Addr{"-4": g.LAN4, "-6": g.LAN6}[family]
			g.Gateway.Run("ip", family, "route", "add", network, "via", via.String(), "dev", "lan0")
			g.LAN.Run("ip", family, "route", "add", "local", network, "dev", "lo")
		}
		g.Apply()
		for _, to := range g.servers() {
			toServer := func(p world.Packet) bool {
				return p.Dir == world.In && p.To(to) && p.Proto == world.UDP
			}
			var wires []*world.Recorder
			for _, u := range g.Uplinks {
				wires = append(wires, u.Wire.Record(toServer))
			}
			for i := range clients {
				g.sendFrom(t, clientAddr(to, i), netip.AddrPortFrom(to, uint16(firstPort+i)), flows)
			}
			g.Settle()
			first, second := wires[0].Packets(), wires[1].Packets()
			if n := len(first) + len(second); n < clients*flows*9/10 {
				t.Fatalf("%d of %d datagrams arrived", n, clients*flows)
			}
			if share := 100 * float64(len(first)) / float64(len(first)+len(second)); share < 72 || share > 78 {
				t.Errorf("to %s: %.1f %% by the first uplink, want 75", to, share)
			}
			used := map[uint16]bool{}
			for _, p := range first {
				used[p.DstPort] = true
			}
			for _, p := range second {
				if used[p.DstPort] {
					t.Errorf("sender %s used both uplinks", clientAddr(to, int(p.DstPort)-firstPort))
				}
			}
		}
		g.wantNoForeign(t)
	})
}

// clientAddr returns the address of a sender behind the LAN's host, in the family of the server.
func clientAddr(to netip.Addr, i int) netip.Addr {
	if to.Is4() {
		return netip.MustParseAddr(fmt.Sprintf("198.19.%d.%d", i/200, i%200+1))
	}
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:fc::%x", i+1))
}

// sendFrom sends datagrams from the LAN with this source, each from a port of its own.
func (g *gateway) sendFrom(t *testing.T, from netip.Addr, to netip.AddrPort, n int) {
	t.Helper()
	free := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) })
		if failed != nil {
			return failed
		}
		return err
	}}
	g.LAN.Do(func() {
		for range n {
			c, err := free.ListenPacket(t.Context(), "udp", netip.AddrPortFrom(from, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.(*net.UDPConn).WriteToUDPAddrPort([]byte("x"), to); err != nil {
				t.Errorf("from %s: %v", from, err)
			}
			c.Close()
		}
	})
}
