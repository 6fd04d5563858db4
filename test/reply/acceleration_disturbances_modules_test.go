//go:build modules

package reply

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// disturbances are what others do to a host whose connections by an uplink are accelerated, while the service runs.
var disturbances = []struct {
	name    string
	disturb func(*testing.T, *accelerated, *world.Uplink)
}{
	{"the router gets another hardware address", newRouterMAC},
	{"a smaller MTU inside", smallerMTU},
	{"a flow table of another program on the same links", foreignFlowTable},
	{"the service is killed and started again", nil},
	{"the uplink's link gets another name", renamed},
}

// Whatever happens to the host, replies of accelerated connections leave by their uplink, and are accelerated again afterwards.
func TestModulesAcceleratedConnectionsOutliveDisturbances(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend, "accelerate = true")
		services["with a host behind DNAT"](b)
		b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
		second := b.Uplinks[1]
		b.Delegate(second, netip.PrefixFrom(b.LAN4, 32))
		b.Delegate(second, netip.PrefixFrom(b.LAN6, 128))
		b.Gateway.Run("ip", "link", "property", "add", "dev", "eth1", "altname", "provider-b")
		text, err := os.ReadFile(b.Config)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(strings.ReplaceAll(string(text), `interface = "eth1"`, `interface = "provider-b"`))
		a := accelerate(b)
		a.connect(t, second.Addr4, b.LAN6)
		a.deleteDatagrams(t)
		a.wantAccelerated(t)
		s := b.Start()
		for _, d := range disturbances {
			t.Log(d.name)
			if d.disturb == nil {
				s.Kill()
				a.wantAccelerated(t)
				s = b.Start()
			} else {
				d.disturb(t, a, second)
			}
			a.wantAccelerated(t)
			if t.Failed() {
				t.Fatalf("after: %s", d.name)
			}
		}
		s.Stop()
		a.wantAlive(t)
		b.Must(0, "flush")
	})
}

// newRouterMAC gives the ISP's router another hardware address, as another router that takes over has. It announces it, as the kernel
// does for its addresses.
func newRouterMAC(t *testing.T, a *accelerated, u *world.Uplink) {
	u.ISP.SetSysctl("net.ipv4.conf."+u.Side.Name+".arp_notify", "1")
	u.ISP.SetSysctl("net.ipv6.conf."+u.Side.Name+".ndisc_notify", "1")
	u.ISP.Run("ip", "link", "set", "dev", u.Side.Name, "address", "02:00:00:00:99:01")
	a.Gateway.Run("ip", "neigh", "flush", "dev", u.Link.Name)
}

// deleteDatagrams deletes the connections of UDP in the flow table as conntrack -D does, while none has a packet on its way: the next one
// is a question, by which they begin anew. Not the streams of TCP: kernels from 6.4 on, and 6.1.31, delete them too (before, they refused
// it), and whichever end sends the next packet begins the connection, which speed alone decides.
func (a *accelerated) deleteDatagrams(t *testing.T) {
	t.Helper()
	a.Gateway.Do(func() {
		var w rtnl.ConnectionWriter
		n := 0
		err := rtnl.EachMarked(rtnl.MarkFilter{}, func(c rtnl.TrackedConnection) {
			if c.Offloaded && c.Original.Proto == unix.IPPROTO_UDP {
				n++
				w.Delete(c)
			}
		})
		if err = errors.Join(err, w.Close()); err != nil || n < len(a.sockets) {
			t.Errorf("%d connections of UDP are deleted, want those of %d sockets: %v", n, len(a.sockets), err)
		}
	})
}

// smallerMTU makes the MTU of the network inside smaller: larger packets must come back to their sender as errors.
func smallerMTU(_ *testing.T, a *accelerated, _ *world.Uplink) {
	a.LAN.Run("ip", "link", "set", "dev", "eth0", "mtu", "1400")
	a.Gateway.Run("ip", "link", "set", "dev", "lan0", "mtu", "1400")
}

// foreignFlowTable adds a flow table to the links: replypath's leaves them to it. It is deleted again.
func foreignFlowTable(t *testing.T, a *accelerated, u *world.Uplink) {
	t.Helper()
	a.Gateway.Run("nft", "add table inet fw; add flowtable inet fw f { hook ingress priority 0; devices = { "+u.Link.Name+", lan0 }; }; "+
		"add chain inet fw forward { type filter hook forward priority 0; }; add rule inet fw forward ct state established flow add @f")
	ours := func() string { return a.Gateway.Run("nft", "list", "ruleset") }
	box.Eventually(t, box.EventualTimeout, "the links are left to the other flow table", func() bool {
		return !strings.Contains(ours(), "table inet "+marks.FlowTableName)
	})
	a.wantUndisturbed(t)
	a.exchange(t)
	a.Gateway.Run("nft", "delete table inet fw")
	box.Eventually(t, box.EventualTimeout, "the flow table is there again", func() bool {
		return strings.Contains(ours(), "table inet "+marks.FlowTableName)
	})
}

// renamed gives the link another name. The kernel wants it to be down for that, and takes its routes and IPv6 addresses.
func renamed(t *testing.T, a *accelerated, u *world.Uplink) {
	a.Shell("ip link set dev eth1 down", "ip link set dev eth1 name wan9", "ip link set dev wan9 up",
		"ip addr add fe80::2/64 dev wan9 nodad", "ip addr add "+u.Addr6.String()+"/64 dev wan9 nodad")
	box.Eventually(t, box.EventualTimeout, "the flow table has the new name", func() bool {
		return strings.Contains(a.Gateway.Run("nft", "list", "ruleset"), `iifname "wan9" ct direction original`)
	})
}
