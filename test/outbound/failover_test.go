package outbound

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// hold opens n TCP connections to each server.
func (g *gateway) hold(t *testing.T, from *world.Host, n int) []*world.Connections {
	t.Helper()
	return g.holdPort(t, from, box.ServedPort, n)
}

// holdLater opens n TCP connections to another port of each server, before an uplink is back. The server has not heard of the end of those
// that the uplink had: one with the same ports would be such a one for the server, which acknowledges what does not fit and does not reset
// it (RFC 9293, 3.10.7.4).
func (g *gateway) holdLater(t *testing.T, from *world.Host, n int) []*world.Connections {
	t.Helper()
	const laterPort = box.ServedPort + 1
	g.Client.ServeTCP(laterPort)
	return g.holdPort(t, from, laterPort, n)
}

// holdPort opens n TCP connections to a port of each server.
func (g *gateway) holdPort(t *testing.T, from *world.Host, port uint16, n int) (all []*world.Connections) {
	t.Helper()
	for _, to := range g.servers() {
		cs, err := from.Connect(world.Request{Kind: world.KindTCP, To: netip.AddrPortFrom(to, port)}, n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cs)
	}
	return all
}

// When an uplink fails, its connections that began inside are ended: those of hosts inside are reset by the server when they
// go on, those of the gateway's own programs at once. New ones take the other uplink. What is inbound does not notice:
// TestInboundConnectionsFeelNoFailover.
func TestFailoverMovesConnections(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(u *world.Uplink, down bool){
		"no carrier": box.SetNoCarrier,
		"black hole": box.SetBlackHole,
	} {
		for _, backend := range append(slices.Clone(box.Backends), box.Nftables) {
			t.Run(name+" "+backend, func(t *testing.T) {
				t.Parallel()
				g, s := startTiers(t, backend, `failback = "move"`)
				g.awaitUplink(t, g.LAN, 0)
				g.awaitUplink(t, g.Gateway, 0)
				inside, own := g.hold(t, g.LAN, 10), g.hold(t, g.Gateway, 5)
				if n4, n6 := g.pinned(4, 0), g.pinned(6, 0); n4 < 15 || n6 < 15 {
					t.Fatalf("%d and %d connections are pinned to the first uplink", n4, n6)
				}
				fail(g.Uplinks[0], true)
				g.awaitUplink(t, g.LAN, 1)
				g.awaitUplink(t, g.Gateway, 1)
				g.awaitUnpinned(t, 0)
				wantEnded(t, "a host inside", inside)
				wantEnded(t, "the gateway", own)
				held := g.holdLater(t, g.LAN, 10)
				fail(g.Uplinks[0], false)
				g.awaitUplink(t, g.LAN, 0)
				g.awaitUnpinned(t, 1)
				wantEnded(t, "a host inside, after the better tier is back", held)
				g.wantNoForeign(t)
				s.Stop()
			})
		}
	}
}

// A host inside has the source port that a connection of the gateway's own takes, and the kernel translates the port of that one alone. It
// has the address of the uplink that fails, and is ended as the others are.
func TestConnectionsWithTranslatedPortAreEnded(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g, s := startTiers(t, backend)
		g.awaitUplink(t, g.LAN, 0)
		g.awaitUplink(t, g.Gateway, 0)
		var own []*world.Connections
		for i, to := range g.servers() {
			q := box.NewRequest(world.KindTCP, to)
			for _, from := range []*world.Host{g.LAN, g.Gateway} {
				q.From = netip.AddrPortFrom([]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[i], steadyPort)
				cs, err := from.Connect(q, 1)
				if err != nil {
					t.Fatal(err)
				}
				if from == g.Gateway {
					own = append(own, cs)
				}
			}
			u := g.Uplinks[0].Addrs()[i].String()
			if all := g.Gateway.Run("conntrack", "-L", "-f", []string{"ipv4", "ipv6"}[i], "-p", "tcp", "--orig-src", u, "--reply-dst", u, "-n"); !strings.Contains(all, "sport=5000") {
				t.Fatalf("no port is translated: %s", all)
			}
		}
		box.SetBlackHole(g.Uplinks[0], true)
		g.awaitUplink(t, g.Gateway, 1)
		wantEnded(t, "the gateway", own)
		g.wantNoForeign(t)
		s.Stop()
	})
}

// wantEnded wants that none of the connections goes on, and that this shows soon: TCP alone would try for minutes.
func wantEnded(t *testing.T, whose string, all []*world.Connections) {
	t.Helper()
	for _, cs := range all {
		began := time.Now()
		if n := cs.Alive(time.Minute); n > 0 {
			t.Errorf("%d connections of %s go on", n, whose)
		}
		if took := time.Since(began); took > 50*time.Second {
			t.Errorf("connections of %s hang for %s", whose, took)
		}
	}
}
