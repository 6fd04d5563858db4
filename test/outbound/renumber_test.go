package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// steadyPort is the source port of the stream that goes on all the time.
const steadyPort = 5000

// sprayInterval is the time between two datagrams of a spray.
const sprayInterval = 2 * time.Millisecond

// spray sends datagrams over IPv6 to the server all the time: each from a new socket, and each from one that stays, whose port is
// steadyPort.
func (g *gateway) spray(t *testing.T, from *world.Host) (end func()) {
	t.Helper()
	to, stop := netip.AddrPortFrom(g.Client6, box.ServedPort), make(chan struct{})
	var steady *net.UDPConn
	open := func(port int) (c *net.UDPConn) {
		from.Do(func() {
			var err error
			if c, err = net.ListenUDP("udp6", &net.UDPAddr{Port: port}); err != nil {
				t.Error(err)
			}
		})
		return c
	}
	if steady = open(steadyPort); steady == nil {
		t.FailNow()
	}
	var sender sync.WaitGroup
	sender.Go(func() {
		defer steady.Close()
		for tick := time.NewTicker(sprayInterval); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			steady.WriteToUDPAddrPort([]byte("steady"), to) // without a route there is an error, which passes
			if c := open(0); c != nil {
				c.WriteToUDPAddrPort([]byte("new"), to)
				c.Close()
			}
		}
	})
	end = sync.OnceFunc(func() { close(stop); sender.Wait() })
	t.Cleanup(end)
	return end
}

// takePrefix makes the first uplink's provider route one more IPv6 network to its link with the gateway, or no longer take it as a source.
func (g *gateway) takePrefix(u *world.Uplink, prefix netip.Prefix, takes bool) {
	g.T.Helper()
	u.ISP.Run("ip", "-6", "rule", map[bool]string{true: "add", false: "del"}[takes], "priority", "100", "iif", u.Side.Name, "from", prefix.String(), "lookup", "main")
	if takes {
		u.ISP.AddRoute(world.Route{To: prefix, Link: u.Side})
		g.Client.AddRoute(world.Route{To: prefix, Via: u.RouterLL, Link: u.ClientLink, Src: g.Client6})
	}
}

// renumbering replaces the IPv6 address of the first uplink.
type renumbering func(g *gateway, t *testing.T, before, after string)

// renumberings are ways in which an uplink gets another IPv6 address.
var renumberings = []struct {
	name string
	by   renumbering
}{
	{"at once", func(g *gateway, _ *testing.T, before, after string) {
		g.Shell("ip -6 addr del "+before+" dev eth0", "ip -6 addr add "+after+" dev eth0 nodad")
	}},
	{"after a time", func(g *gateway, t *testing.T, before, after string) {
		g.Gateway.Run("ip", "-6", "addr", "del", before, "dev", "eth0")
		box.Eventually(t, box.EventualTimeout, "IPv6 takes the second uplink while the first has no address", func() bool {
			q := box.NewRequest(world.KindUDP, g.Client6)
			q.Timeout = 300 * time.Millisecond
			a := g.LAN.Send(q)
			return a.OK && g.uplinkOf(a.Peer.Addr()) == 1
		})
		g.Gateway.Run("ip", "-6", "addr", "add", after, "dev", "eth0", "nodad")
	}},
	{"the new one first", func(g *gateway, _ *testing.T, before, after string) {
		g.Shell("ip -6 addr add "+after+" dev eth0 nodad", "ip -6 addr del "+before+" dev eth0")
	}},
}

// The provider gives an uplink another IPv6 address, of another network, and no longer takes the one before: no packet leaves with the
// LAN's address or, once that is over, with the one before. Connections that had it are ended, a stream of datagrams goes on.
func TestRenumberedUplinkSendsNothingForeign(t *testing.T) {
	t.Parallel()
	for _, r := range renumberings {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			box.EachFirewall(t, func(t *testing.T, backend string) {
				g, s := startTiers(t, backend)
				g.awaitUplink(t, g.LAN, 0)
				g.awaitUplink(t, g.Gateway, 0)
				g.renumber(t, r.by)
				s.Stop()
			})
		})
	}
}

// renumber gives the first uplink another IPv6 address, while the LAN's host and the gateway send all the time.
func (g *gateway) renumber(t *testing.T, by renumbering) {
	t.Helper()
	u, prefix := g.Uplinks[0], netip.MustParsePrefix("2001:db8:d::/64")
	oldAddr, oldPrefix := u.Addr6, u.Prefix6
	g.takePrefix(u, prefix, true)
	inside, own := g.hold(t, g.LAN, 3)[1:], g.hold(t, g.Gateway, 3)[1:] // those over IPv6
	connected := g.Connected(g.Gateway, netip.AddrPort{}, netip.AddrPortFrom(g.Client6, box.ServedPort))
	if err := box.Exchange(connected); err != nil {
		t.Fatal(err)
	}
	ends := []func(){g.spray(t, g.LAN), g.spray(t, g.Gateway)}
	u.Addr6, u.Prefix6 = prefix.Addr().Next().Next(), prefix
	by(g, t, oldAddr.String()+"/64", u.Addr6.String()+"/64")
	g.awaitUplink(t, g.LAN, 0)
	g.awaitUplink(t, g.Gateway, 0)
	g.awaitNoneLeft(t, oldAddr)
	wantEnded(t, "a host inside", inside)
	wantEnded(t, "the gateway", own)
	g.Settle()
	g.takePrefix(u, oldPrefix, false)
	for range 3 {
		connected.Write([]byte("late"))
	}
	for _, end := range ends {
		end()
	}
	g.wantStreamGoesOn(t)
	// What the server has sent to an address that the gateway no longer has goes back, as every router sends it.
	g.wantNoForeignBut(t, func(p world.Packet) bool { return p.From(g.Client6) })
}

// awaitNoneLeft waits until conntrack knows no connection that leaves with the address.
func (g *gateway) awaitNoneLeft(t *testing.T, address netip.Addr) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, fmt.Sprintf("no connection leaves with %s", address), func() bool {
		return !slices.ContainsFunc(g.pinnedConnections(6, 0), func(line string) bool { return strings.HasSuffix(replyOf(line), " dst="+address.String()) })
	})
}

// replyOf returns the source and the destination of the replies of a line of conntrack(8).
func replyOf(line string) string {
	words := strings.Fields(line)
	for i := len(words) - 2; i > 0; i-- {
		if strings.HasPrefix(words[i], "src=") {
			return words[i] + " " + words[i+1]
		}
	}
	return ""
}

// wantStreamGoesOn wants answers to the stream of each host.
func (g *gateway) wantStreamGoesOn(t *testing.T) {
	t.Helper()
	for _, from := range []*world.Host{g.LAN, g.Gateway} {
		q := box.NewRequest(world.KindUDP, g.Client6)
		q.From, q.Timeout = netip.AddrPortFrom(netip.IPv6Unspecified(), steadyPort), 20*time.Second
		if a := from.Send(q); !a.OK || g.uplinkOf(a.Peer.Addr()) < 0 {
			t.Errorf("the stream of %s: %v", from.Name, a)
		}
	}
}
