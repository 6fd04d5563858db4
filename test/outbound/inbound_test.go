package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// forwardedPort is the port of the uplinks' addresses that is translated to the LAN's host.
const forwardedPort = 7070

// inboundLoad is what comes in by the uplinks, to servers of the gateway and, by destination NAT, to one inside.
type inboundLoad struct {
	*gateway
	streams   map[string]*world.Stream // by both uplinks
	datagrams *box.DatagramLoad        // by the second one, in both families
	full      interface {
		WantUndisturbed(t *testing.T)
		WantAlive(t *testing.T)
	}
}

// streamRate is what a stream by a destination NAT carries in a second: the others have the rest of the machine.
const streamRate = 1 << 20

// startInbound starts the load.
func (g *gateway) startInbound(t *testing.T) *inboundLoad {
	t.Helper()
	g.Gateway.ServeTCP(box.ServedPort)
	g.Gateway.ServeUDP(box.ServedPort, world.Pktinfo)
	g.LAN.ServeTCP(box.ServedPort)
	g.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
	l := &inboundLoad{gateway: g, streams: map[string]*world.Stream{}}
	for _, u := range g.Uplinks {
		g.forwardPort(u)
		for _, to := range u.Addrs() {
			for _, port := range []uint16{box.ServedPort, forwardedPort} {
				l.startStream(t, netip.AddrPortFrom(to, port))
			}
		}
	}
	l.full = g.StartConnections(t, 4, g.Uplinks[1])
	l.datagrams = l.startDatagrams(g.Uplinks[1])
	l.datagrams.Goes(t, 3)
	l.wantProgress(t, "before anything happens", nil)
	return l
}

// forwardPort translates requests to the port at the uplink's addresses to the LAN's host.
func (g *gateway) forwardPort(u *world.Uplink) {
	g.T.Helper()
	for family, to := range map[int]netip.Addr{4: g.LAN4, 6: g.LAN6} {
		at := map[int]netip.Addr{4: u.Addr4, 6: u.Addr6}[family]
		for _, protocol := range []string{"tcp", "udp"} {
			g.Iptables(family, "-t", "nat", "-A", "PREROUTING", "-d", at.String(), "-p", protocol, "--dport", fmt.Sprint(forwardedPort),
				"-j", "DNAT", "--to", netip.AddrPortFrom(to, box.ServedPort).String())
		}
	}
}

func (l *inboundLoad) startStream(t *testing.T, to netip.AddrPort) {
	t.Helper()
	s, err := l.Client.StreamAt(world.Request{Kind: world.KindTCP, To: to}, streamRate)
	if err != nil {
		t.Fatalf("stream to %s: %v", to, err)
	}
	l.streams[to.String()] = s
}

// startDatagrams sends datagrams to the gateway and to the host inside, by the uplink, each of which must be answered.
func (l *inboundLoad) startDatagrams(u *world.Uplink) *box.DatagramLoad {
	l.T.Helper()
	var sockets []*net.UDPConn
	for _, to := range u.Addrs() {
		for _, port := range []uint16{box.ServedPort, forwardedPort} {
			sockets = append(sockets, l.Connected(l.Client, netip.AddrPortFrom(l.ClientAddr(to), 0), netip.AddrPortFrom(to, port)))
		}
	}
	return box.StartDatagrams(sockets...)
}

// wantProgress wants every stream to carry more, but for those by the uplink.
func (l *inboundLoad) wantProgress(t *testing.T, when string, but *world.Uplink) {
	t.Helper()
	for to, s := range l.streams {
		if but != nil && but.Has(netip.MustParseAddrPort(to).Addr()) {
			continue
		}
		if err := s.Await(t.Context(), streamRate/8); err != nil {
			t.Errorf("%s: the stream to %s: %v", when, to, err)
		}
	}
}

// end wants every datagram to have been answered, and every stream to have lived, also those by the uplink that failed.
func (l *inboundLoad) end(t *testing.T) {
	t.Helper()
	l.wantProgress(t, "at the end", nil)
	l.datagrams.End(t, "failover and failback")
	l.full.WantUndisturbed(t)
	for to, s := range l.streams {
		if c := s.Stop(); c.Reset || c.Err != nil {
			t.Errorf("the stream to %s: reset %t, ended by %v", to, c.Reset, c.Err)
		}
	}
	l.full.WantAlive(t)
}

// What comes in by an uplink that works, to the gateway and by destination NAT to a host inside, feels neither the failover of another
// one nor the failback: no reset, no stray packet, no datagram without its answer. What comes in by the one that fails waits for it, and
// goes on. All under load, and while connections that began inside are moved.
func TestInboundConnectionsFeelNoFailover(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(u *world.Uplink, down bool){
		"no carrier": box.SetNoCarrier,
		"black hole": box.SetBlackHole,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box.EachFirewall(t, func(t *testing.T, backend string) {
				g, s := startTiers(t, backend, `failback = "move"`)
				load := g.startInbound(t)
				g.awaitUplink(t, g.LAN, 0)
				held := append(g.hold(t, g.LAN, 5), g.hold(t, g.Gateway, 5)...)
				fail(g.Uplinks[0], true)
				g.awaitUplink(t, g.LAN, 1)
				g.awaitUnpinned(t, 0)
				wantEnded(t, "before the failover", held)
				load.wantProgress(t, "after the failover", g.Uplinks[0])
				held = g.holdLater(t, g.LAN, 5)
				fail(g.Uplinks[0], false)
				g.awaitUplink(t, g.LAN, 0)
				g.awaitUnpinned(t, 1)
				wantEnded(t, "before the failback", held)
				load.end(t)
				g.wantNoForeign(t)
				s.Stop()
			})
		})
	}
}
