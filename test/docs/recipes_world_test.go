package docs

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// sceneWorlds are the worlds that the page's annotations begin with.
var sceneWorlds = map[string]world.Options{
	"two ISPs":                        {},
	"two ISPs without default routes": {NoDefault: true},
	"two ISPs with a neighbour":       {Neighbours: []int{1}},
}

// sceneElements are what a world of the page has beside its uplinks.
var sceneElements = map[string]func(c *recipeRun){
	"a second router on eth1":            (*recipeRun).secondRouter,
	"a VRRP pair on eth1":                (*recipeRun).pairOfRouters,
	"unbound and OpenVPN on any address": (*recipeRun).wildcardServers,
	"all is well":                        func(c *recipeRun) { c.healthyBefore = true },
	"a server on the gateway":            func(c *recipeRun) { box.ServeAll(c.Gateway) },
	"configured":                         func(c *recipeRun) { c.Write(configured) },
	"applied":                            func(c *recipeRun) { c.Write(configured); c.Apply() },
	"the service runs":                   func(c *recipeRun) { c.Write(configured); c.service = c.Start() },
	"leases and router advertisements":   (*recipeRun).leases,
	"DNAT to a LAN host":                 (*recipeRun).portForwarding,
	"Docker publishes a port":            (*recipeRun).docker,
	"WireGuard listens":                  (*recipeRun).wireGuard,
	"a tunnel of wg-quick's":             (*recipeRun).wgQuick,
	"monitoring behind eth1":             (*recipeRun).monitoring,
	"Tailscale":                          (*recipeRun).tailscale,
	"Kubernetes":                         (*recipeRun).kubernetes,
	"firewalld":                          (*recipeRun).firewalld,
	"a connection by eth1 that is open":  (*recipeRun).holdConnection,
	"the other node has the VIPs of eth1": func(c *recipeRun) {
		c.commands("ip addr del 192.0.2.2/24 dev eth1", "ip addr del 2001:db8:b::2/64 dev eth1")
	},
	"a LAN that is masqueraded":       (*recipeRun).masqueradedLAN,
	"the documented recipe of TPROXY": (*recipeRun).documentedTPROXY,
	"a UDP server on any address": func(c *recipeRun) {
		c.Gateway.ServeTCP(box.ServedPort)
		c.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
		c.kinds = []world.Kind{world.KindTCP, world.KindPing} // the server is to be set right, not the host
	},
	"a VPN takes all but some networks": func(c *recipeRun) {
		c.commands("ip link add tun0 type bridge", "ip link set tun0 up", "ip route add 192.0.0.0/8 dev tun0", "ip route add 198.0.0.0/8 dev tun0",
			"ip route add 203.0.0.0/8 dev tun0")
	},
}

// configured is the configuration that the page's recipes begin with.
const configured = `
[uplinks.fibre]
id = 1
interface = "eth0"
gateway = ["198.51.100.1", "fe80::1"]

[uplinks.lte]
id = 2
interface = "eth1"
gateway = ["192.0.2.1", "fe80::1"]
`

// build makes the scene's world. Whatever is not in sceneElements is a command to type on the gateway.
func (s recipeScene) build(t *testing.T) *recipeRun {
	t.Helper()
	options, known := sceneWorlds[s.world[0]]
	if !known {
		t.Fatalf("etc/recipes.md, line %d: unknown world %q", s.line, s.world[0])
	}
	c := &recipeRun{Box: box.New(t, world.TwoISPs(t, options)), t: t, kinds: []world.Kind{world.KindTCP, world.KindUDP, world.KindPing}}
	for _, what := range s.world[1:] {
		thing, known := sceneElements[what]
		switch {
		case known:
			thing(c)
		case strings.HasPrefix(what, "ip") || strings.HasPrefix(what, "sysctl "):
			c.commands(what)
		default:
			t.Fatalf("etc/recipes.md, line %d: unknown element %q", s.line, what)
		}
	}
	return c
}

func (c *recipeRun) commands(lines ...string) {
	c.t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		c.Gateway.Run(words[0], words[1:]...)
	}
}

// leases adds the default routes of a DHCP client and of router advertisements.
func (c *recipeRun) leases() {
	c.t.Helper()
	c.commands(
		"ip route add default via 198.51.100.1 dev eth0 proto dhcp src 198.51.100.2 metric 100",
		"ip route add default via 192.0.2.1 dev eth1 proto dhcp src 192.0.2.2 metric 700",
		"ip -6 route add default via fe80::1 dev eth0 proto ra metric 100",
		"ip -6 route add default via fe80::1 dev eth1 proto ra metric 700")
}

// portForwarding translates requests to any uplink's address to the LAN host.
func (c *recipeRun) portForwarding() {
	c.t.Helper()
	box.ServeAll(c.LAN)
	c.AddDNAT(c.LAN4, c.LAN6)
}

// monitoring adds a route to the monitoring's network by the management link. The monitoring polls the address of the service.
func (c *recipeRun) monitoring() {
	c.t.Helper()
	box.ServeAll(c.Gateway)
	c.RouteToClientBy(c.Uplinks[1])
	file := c.ServeFTP(c.Gateway)
	c.checks = append(c.checks, func(t *testing.T) {
		for _, u := range c.Uplinks {
			c.FetchAll(t, u, u.Port4(box.FTPPort), file, box.Passive, box.Active)
			c.FetchAll(t, u, u.Port6(box.FTPPort), file, box.ExtendedPassive, box.ExtendedActive)
		}
	})
}

// wireGuardPort is where WireGuard listens.
const wireGuardPort = 51820

// wireGuard stands for WireGuard in the kernel, which not every kernel has: a server that chooses the source of its answers
// as WireGuard does.
func (c *recipeRun) wireGuard() {
	c.t.Helper()
	c.Gateway.ServeTCP(box.ServedPort)
	c.Gateway.ServeUDP(box.ServedPort, world.Remembered)
	c.Gateway.ServeUDP(wireGuardPort, world.Remembered)
	c.checks = append(c.checks, func(t *testing.T) {
		p := c.RecordEgress()
		for _, u := range c.Uplinks {
			for _, to := range u.Addrs() {
				if a := c.Client.UDP(netip.AddrPortFrom(to, wireGuardPort)); !a.OK {
					t.Errorf("WireGuard at %s: %v", to, a)
				}
				p.Settle()
				p.WantSymmetric(t, u, to, 1)
			}
		}
	})
}

// clientPort is the port of the connection that the page speaks of.
const clientPort = 50000

// holdConnection keeps a connection of the client's open.
func (c *recipeRun) holdConnection() {
	c.t.Helper()
	q := world.Request{Kind: world.KindTCP, To: c.Uplinks[1].Port4(box.ServedPort), From: netip.AddrPortFrom(c.Client4, clientPort)}
	if _, err := c.Client.Connect(q, 1); err != nil {
		c.t.Fatal(err)
	}
}
