//go:build modules

package reply

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// A flush, a reload that ends the acceleration, and a flush after the service lose no reply of connections that are accelerated at
// that time, and none strays: of the first uplink main leads the replies, of the second one a rule of another program, which
// the rules of replypath precede. Then no connection is in a flow table.
func TestModulesFlushOfAcceleratedConnections(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend, "accelerate = true")
		first, second := b.Uplinks[0], b.Uplinks[1]
		inside := otherServer(b)
		b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", first.Addr4.String(), "-j", "DNAT", "--to", inside[0].String())
		b.Iptables(6, "-t", "nat", "-A", "PREROUTING", "-d", first.Addr6.String(), "-j", "DNAT", "--to", inside[1].String())
		b.Delegate(second, netip.PrefixFrom(b.LAN4, 32))
		b.Delegate(second, netip.PrefixFrom(b.LAN6, 128))
		b.Shell("ip rule add priority 9000 from "+b.LAN4.String()+" lookup 77", "ip route add default via "+second.Router4.String()+" dev eth1 table 77",
			"ip -6 rule add priority 9000 from "+b.LAN6.String()+" lookup 77", "ip -6 route add default via fe80::1 dev eth1 table 77")
		a := accelerate(b)
		to := []netip.Addr{first.Addr4, first.Addr6, b.LAN4, b.LAN6}
		a.connect(t, to...)
		a.unnoticed(t, "flush", to, func() { b.Must(0, "flush") })
		b.Apply()
		a.wantAccelerated(t)
		s := b.Start()
		b.AwaitInSync()
		text, err := os.ReadFile(b.Config)
		if err != nil {
			t.Fatal(err)
		}
		a.unnoticed(t, "reload without accelerate", to, func() {
			b.Write(strings.ReplaceAll(string(text), "accelerate = true\n", ""))
			b.Must(0, "reload")
			b.AwaitInSync()
		})
		b.Write(string(text))
		b.Must(0, "reload")
		a.wantAccelerated(t)
		a.unnoticed(t, "stop and flush", to, func() {
			s.Stop()
			b.Must(0, "flush")
		})
		a.wantAlive(t)
	})
}

// otherServer gives the host inside another address of each family, and servers.
func otherServer(b *box.Box) []netip.Addr {
	b.T.Helper()
	all := []netip.Addr{netip.MustParseAddr("198.18.0.3"), netip.MustParseAddr("2001:db8:f::3")}
	b.LAN.Link("eth0").Addr("198.18.0.3/24")
	b.LAN.Link("eth0").Addr("2001:db8:f::3/64")
	b.LAN.ServeTCP(box.ServedPort)
	b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
	return all
}

// unnoticed makes a change that ends the acceleration, and wants that none of the connections notices.
func (a *accelerated) unnoticed(t *testing.T, what string, to []netip.Addr, change func()) {
	t.Helper()
	var sockets []*net.UDPConn
	for _, address := range to {
		sockets = append(sockets, a.Connected(a.Client, netip.AddrPortFrom(a.ClientAddr(address), 0), netip.AddrPortFrom(address, box.ServedPort)))
	}
	load := box.StartDatagrams(sockets...)
	a.awaitOffloaded(t, sockets)
	for _, s := range sockets {
		a.Explain(t, 0, []string{"--flow", "udp", s.LocalAddr().String(), s.RemoteAddr().String()},
			"accelerated: its packets go by a flow table", "right: they leave by the connection's uplink")
	}
	change()
	load.Goes(t, 20)
	load.End(t, what)
	a.wantUndisturbed(t)
	box.Eventually(t, box.EventualTimeout, "no connection is in a flow table after: "+what, func() bool { return len(a.offloaded(t)) == 0 })
	if tables := a.Gateway.Run("nft", "list", "tables"); strings.Contains(tables, marks.FlowTableName) {
		t.Errorf("left behind after %s: %s", what, tables)
	}
}

// awaitOffloaded waits until the connections of the sockets are in the flow table.
func (a *accelerated) awaitOffloaded(t *testing.T, sockets []*net.UDPConn) {
	t.Helper()
	box.Eventually(t, box.EventualTimeout, "the connections of the sockets are in the flow table", func() bool {
		offloaded := map[string]bool{}
		a.Gateway.Do(func() {
			if err := rtnl.EachMarked(rtnl.MarkFilter{}, func(c rtnl.TrackedConnection) {
				offloaded[c.Original.From.String()] = c.Original.Proto == unix.IPPROTO_UDP && c.Offloaded || offloaded[c.Original.From.String()]
			}); err != nil {
				t.Error(err)
			}
		})
		return !slices.ContainsFunc(sockets, func(s *net.UDPConn) bool { return !offloaded[s.LocalAddr().String()] })
	})
}
