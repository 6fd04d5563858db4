package pair

import (
	"fmt"
	"strings"
	"testing"

	"replypath/test/world"
)

// network is a client behind two ISPs, two gateways that share the uplinks and the LAN, and a server in the LAN.
//
//	client 203.0.113.10 -- isp0 -- eth0 of node1 and node2, VIP 198.51.100.2 \
//	                    -- isp1 -- eth1 of node1 and node2, VIP 192.0.2.2      lan0, VIP 198.18.0.1 -- server 198.18.0.100
//
// The nodes have addresses of their own too, and a link to each other, sync0. The ISPs drop and count what comes from another
// network than their own.
type network struct {
	t              *testing.T
	w              *world.World
	client, server *world.Host
	lan            *world.Host // the switch
	isps           []*world.Host
	nodes          []*node
}

// prefixes are the networks of the uplinks, without the last number of an address.
var prefixes = []struct{ four, six string }{{"198.51.100.", "2001:db8:a::"}, {"192.0.2.", "2001:db8:b::"}}

// vips returns the VIPs of an uplink.
func vips(uplink int) []string {
	return []string{prefixes[uplink].four + "2", prefixes[uplink].six + "2"}
}

// shell runs lines of shell on a host.
func shell(h *world.Host, lines ...string) {
	h.Run("sh", "-ec", strings.Join(lines, "\n"))
}

// newNetwork builds the network. Nothing runs on it yet.
func newNetwork(t *testing.T) *network {
	t.Helper()
	w := world.New(t)
	n := &network{t: t, w: w, client: w.Host("cl"), server: w.Host("srv")}
	n.lan = w.Host("lan")
	for i := range 2 {
		n.isps = append(n.isps, w.Host(fmt.Sprintf("isp%d", i)))
		n.nodes = append(n.nodes, &node{network: n, number: i + 1, host: w.Host(fmt.Sprintf("node%d", i+1)), dir: t.TempDir()})
	}
	for _, switches := range append([]*world.Host{n.lan}, n.isps...) {
		shell(switches, "ip link add br0 type bridge", "ip link set br0 up")
	}
	join := func(h *world.Host, name string, to *world.Host, port string) {
		w.Join(h, name, to, port)
		shell(to, "ip link set "+port+" master br0")
	}
	for _, g := range n.nodes {
		join(g.host, "eth0", n.isps[0], g.host.Name)
		join(g.host, "eth1", n.isps[1], g.host.Name)
		join(g.host, "lan0", n.lan, g.host.Name)
	}
	join(n.server, "eth0", n.lan, "srv")
	w.Join(n.nodes[0].host, "sync0", n.nodes[1].host, "sync0")
	shell(n.server, "ip addr add 198.18.0.100/24 dev eth0", "ip addr add 2001:db8:f::100/64 dev eth0 nodad",
		"ip route add default via 198.18.0.1", "ip -6 route add default via 2001:db8:f::1")
	shell(n.client, "ip addr add 203.0.113.10/32 dev lo", "ip addr add 2001:db8:c::10/128 dev lo nodad")
	for i := range n.isps {
		n.buildISP(i)
	}
	for _, g := range n.nodes {
		g.build()
	}
	return n
}

// buildISP connects an ISP with the client.
func (n *network) buildISP(i int) {
	n.t.Helper()
	isp, p := n.isps[i], prefixes[i]
	n.w.Join(n.client, fmt.Sprintf("isp%d", i), isp, "access")
	isp.Forward()
	shell(isp, "ip addr add "+p.four+"1/24 dev br0", "ip addr add "+p.six+"1/64 dev br0 nodad",
		fmt.Sprintf("ip addr add 198.18.25%d.1/30 dev access", i), fmt.Sprintf("ip addr add 2001:db8:e%d::1/64 dev access nodad", i),
		fmt.Sprintf("ip route add 203.0.113.0/24 via 198.18.25%d.2", i), fmt.Sprintf("ip -6 route add 2001:db8:c::/64 via 2001:db8:e%d::2", i),
		fmt.Sprintf(`nft -f - <<EOF
table inet isp {
	counter stray { }
	chain pre {
		type filter hook prerouting priority -300;
		iifname br0 ip daddr 203.0.113.0/24 ip saddr != %s0/24 counter name stray drop
		iifname br0 ip6 daddr 2001:db8:c::/64 ip6 saddr != %s/64 counter name stray drop
	}
}
EOF`, p.four, p.six))
	shell(n.client, fmt.Sprintf("ip addr add 198.18.25%d.2/30 dev isp%[1]d", i), fmt.Sprintf("ip addr add 2001:db8:e%d::2/64 dev isp%[1]d nodad", i),
		fmt.Sprintf("ip route add %s0/24 via 198.18.25%d.1 src 203.0.113.10", p.four, i), fmt.Sprintf("ip -6 route add %s/64 via 2001:db8:e%d::1 src 2001:db8:c::10", p.six, i))
}

// strays returns the number of packets with a foreign source that the ISPs have dropped.
func (n *network) strays() (sum int) {
	n.t.Helper()
	for _, isp := range n.isps {
		var packets int
		_, text, _ := strings.Cut(isp.Run("nft", "list", "counter", "inet", "isp", "stray"), "packets ")
		if _, err := fmt.Sscan(text, &packets); err != nil {
			n.t.Fatal(err)
		}
		sum += packets
	}
	return sum
}
