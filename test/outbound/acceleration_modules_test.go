//go:build modules

package outbound

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"replypath/marks"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// Connections that go by the flow table of accelerate leave an uplink that fails, and come back with failback = "move": those of TCP,
// whose source is translated, end, datagrams go on by the other uplink, and none leaves with a foreign source. A kernel with flow
// tables is needed: make test-modules boots Debian's.
func TestModulesFailoverOfAcceleratedConnections(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		// The machine is emulated: probes must not decide.
		g.Settings = append(g.Settings, "accelerate = true", "[probes]", `interval = "2s"`, `timeout = "2s"`, "fall = 30", "rise = 1")
		g.Gateway.ServeTCP(box.ServedPort)
		g.outbound(balanced(`[["isp0"], ["isp1"]]`, `failback = "move"`)...)
		s := g.Start()
		g.AwaitInSync()
		g.AwaitUp()
		g.awaitUplink(t, g.LAN, 0)
		inbound, err := g.Client.Connect(box.NewRequest(world.KindTCP, g.Uplinks[1].Addr4), 3)
		if err != nil {
			t.Fatal(err)
		}
		g.Delegate(g.Uplinks[1], netip.PrefixFrom(inside4, 32))
		g.Delegate(g.Uplinks[1], netip.PrefixFrom(inside6, 128))
		g.LAN.Link("eth0").Addr(inside4.String()+"/24", inside6.String()+"/64")
		g.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
		var sockets []*net.UDPConn
		for i, to := range g.servers() {
			local := netip.AddrPortFrom([]netip.Addr{g.LAN4, g.LAN6}[i], 5000)
			sockets = append(sockets, g.Connected(g.LAN, local, netip.AddrPortFrom(to, box.ServedPort)))
		}
		for from := range 2 {
			held := g.hold(t, g.LAN, 3)
			g.awaitOffloaded(t, from, held, sockets)
			requests := g.requestsByDelegated(t)
			box.SetNoCarrier(g.Uplinks[0], from == 0)
			g.awaitUplink(t, g.LAN, 1-from)
			box.Eventually(t, box.EventualTimeout, "no connection has the mark of uplink "+g.Uplinks[from].Link.Name, func() bool {
				all, _ := g.tracked(t, from)
				return all == 0
			})
			wantEnded(t, "a host inside", held)
			wantAlive(t, "the move", 3, []*world.Connections{inbound})
			requests.End(t, "the move")
		}
		g.awaitOffloaded(t, 0, g.hold(t, g.LAN, 3), sockets)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// Addresses of the host inside that the second uplink's ISP routes to the gateway.
var inside4, inside6 = netip.MustParseAddr("198.18.0.3"), netip.MustParseAddr("2001:db8:f::3")

// requestsByDelegated sends requests by the second uplink to the host inside, and waits until they are accelerated.
func (g *gateway) requestsByDelegated(t *testing.T) *box.DatagramLoad {
	t.Helper()
	load := box.StartDatagrams(g.Connected(g.Client, netip.AddrPortFrom(g.Client4, 0), netip.AddrPortFrom(inside4, box.ServedPort)),
		g.Connected(g.Client, netip.AddrPortFrom(g.Client6, 0), netip.AddrPortFrom(inside6, box.ServedPort)))
	box.Eventually(t, box.EventualTimeout, "requests are in the flow table", func() bool {
		offloaded := map[netip.Addr]bool{}
		g.Gateway.Do(func() {
			if err := rtnl.EachMarked(rtnl.MarkFilter{Mark: 0x200, Mask: 0x3f00}, func(c rtnl.TrackedConnection) {
				offloaded[c.Original.To.Addr()] = offloaded[c.Original.To.Addr()] || c.Offloaded
			}); err != nil {
				t.Error(err)
			}
		})
		return offloaded[inside4] && offloaded[inside6]
	})
	return load
}

// tracked returns the number of connections that began inside and have the mark of the uplink, and of those that are in a flow table
// by their protocol and family.
func (g *gateway) tracked(t *testing.T, uplink int) (n int, offloaded map[string]int) {
	t.Helper()
	offloaded = map[string]int{}
	g.Gateway.Do(func() {
		err := rtnl.EachMarked(rtnl.MarkFilter{Mark: marks.Mark(0x2000 | (uplink+1)<<8), Mask: 0x3f00}, func(c rtnl.TrackedConnection) {
			if n++; c.Offloaded {
				offloaded[map[uint8]string{6: "tcp ", 17: "udp "}[c.Original.Proto]+uplinks.FamilyOf(c.Original.To.Addr()).String()]++
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	return n, offloaded
}

// awaitOffloaded waits until connections of both protocols and families go by the flow table, with the mark of the uplink.
func (g *gateway) awaitOffloaded(t *testing.T, uplink int, held []*world.Connections, sockets []*net.UDPConn) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "TCP and UDP of both families are in the flow table, by "+g.Uplinks[uplink].Link.Name, func() bool {
		for _, socket := range sockets {
			if err := box.Exchange(socket); err != nil {
				t.Logf("%s: %v", socket.RemoteAddr(), err)
			}
		}
		for _, cs := range held {
			cs.Alive(10 * time.Second)
		}
		_, found := g.tracked(t, uplink)
		return found["tcp IPv4"] > 0 && found["tcp IPv6"] > 0 && found["udp IPv4"] > 0 && found["udp IPv6"] > 0
	})
}
