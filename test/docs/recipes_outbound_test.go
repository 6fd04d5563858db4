package docs

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// outboundElements are the elements of the scenes about connections that begin inside: which uplinks take them in the end.
var outboundElements = map[string]func(c *recipeRun){
	"in the end connections leave by eth0":         func(c *recipeRun) { c.endsWith(c.everyHost, 0) },
	"in the end connections leave by eth1":         func(c *recipeRun) { c.endsWith(c.everyHost, 1) },
	"in the end connections leave by some uplink":  func(c *recipeRun) { c.endsWith(c.everyHost, 0, 1) },
	"in the end connections leave by both uplinks": (*recipeRun).endsWithBoth,
	"in the end guests leave by eth1":              (*recipeRun).endsWithVisitors,
	"in the end a container leaves by eth1": func(c *recipeRun) {
		c.endsWith(func() []sender { return []sender{{host: c.inside}} }, 1)
	},
	"the LAN has a prefix of each ISP": (*recipeRun).endsWithPrefixes,
	"a VPN takes everything": func(c *recipeRun) {
		c.commands("ip link add tun0 type bridge", "ip link set tun0 up", "ip route add 0.0.0.0/1 dev tun0", "ip route add 128.0.0.0/1 dev tun0",
			"ip -6 route add ::/1 dev tun0", "ip -6 route add 8000::/1 dev tun0")
	},
}

func init() {
	for name, add := range outboundElements {
		sceneElements[name] = add
	}
}

// sender is a host that begins connections, with the source that it binds to in each family, if any.
type sender struct {
	host         *world.Host
	from4, from6 netip.Addr
}

// everyHost returns the gateway and the host of its LAN.
func (c *recipeRun) everyHost() []sender { return []sender{{host: c.Gateway}, {host: c.LAN}} }

// endsWith makes the client a server, and wants in the end that all connections to it take one of the uplinks, and that no ISP gets a
// foreign source. The service may take a moment to undo a drain.
func (c *recipeRun) endsWith(senders func() []sender, uplinks ...int) {
	c.t.Helper()
	c.serveOutside()
	c.checks = append(c.checks, func(t *testing.T) {
		for _, s := range senders() {
			for _, kind := range []world.Kind{world.KindTCP, world.KindUDP} {
				for _, to := range []netip.Addr{c.Client4, c.Client6} {
					c.wantUplink(t, s, kind, to, uplinks)
				}
			}
		}
	})
}

// serveOutside makes the client a server.
func (c *recipeRun) serveOutside() {
	c.t.Helper()
	if c.serving {
		return
	}
	c.serving = true
	c.Client.ServeTCP(box.ServedPort)
	c.Client.ServeUDP(box.ServedPort, world.Pktinfo)
}

// wantUplink wants a connection to be answered, and the server to have seen the address of one of the uplinks.
func (c *recipeRun) wantUplink(t *testing.T, s sender, kind world.Kind, to netip.Addr, uplinks []int) {
	t.Helper()
	q := box.NewRequest(kind, to)
	q.From = netip.AddrPortFrom(map[bool]netip.Addr{true: s.from4, false: s.from6}[to.Is4()], 0)
	a := s.host.Send(q)
	if !a.OK {
		t.Errorf("%s from %s to %s: %v", kind, s.host.Name, to, a)
		return
	}
	for _, i := range uplinks {
		if u := c.Uplinks[i]; a.Peer.Addr() == u.Addr4 || a.Peer.Addr() == u.Addr6 {
			return
		}
	}
	t.Errorf("%s from %s to %s: the server saw %s, of none of the uplinks %v", kind, s.host.Name, to, a.Peer, uplinks)
}

// endsWithBoth wants both uplinks to take some of many connections.
func (c *recipeRun) endsWithBoth() {
	c.serveOutside()
	c.checks = append(c.checks, func(t *testing.T) {
		for _, to := range []netip.Addr{c.Client4, c.Client6} {
			share := map[string]int{}
			for range 60 {
				a := c.LAN.Send(box.NewRequest(world.KindTCP, to))
				for _, u := range c.Uplinks {
					if a.OK && (a.Peer.Addr() == u.Addr4 || a.Peer.Addr() == u.Addr6) {
						share[fmt.Sprint("eth", u.Index)]++
					}
				}
			}
			if share["eth0"]+share["eth1"] != 60 || share["eth0"] <= share["eth1"] || share["eth1"] == 0 {
				t.Errorf("60 connections to %s: %v", to, share)
			}
		}
	})
}

// endsWithVisitors gives the LAN host an address in the network of visitors too.
func (c *recipeRun) endsWithVisitors() {
	c.t.Helper()
	visitor := sender{c.LAN, netip.MustParseAddr("198.18.0.200"), netip.MustParseAddr("2001:db8:f:0:8000::2")}
	c.LAN.Run("ip", "addr", "add", "198.18.0.200/24", "dev", "eth0")
	c.LAN.Run("ip", "addr", "add", "2001:db8:f:0:8000::2/64", "dev", "eth0", "nodad", "preferred_lft", "0")
	c.endsWith(func() []sender { return []sender{visitor} }, 1)
	c.endsWith(func() []sender { return []sender{{host: c.LAN}} }, 0)
}

// endsWithPrefixes gives the LAN a prefix of each ISP, and wants a host to be answered with an address of each: an ISP takes its own alone.
func (c *recipeRun) endsWithPrefixes() {
	c.t.Helper()
	c.Client.ServeTCP(box.ServedPort)
	second := netip.MustParseAddr("2001:db8:e::2")
	c.Gateway.Run("ip", "addr", "add", "2001:db8:e::1/64", "dev", "lan0", "nodad")
	c.LAN.Run("ip", "addr", "add", "2001:db8:e::2/64", "dev", "eth0", "nodad", "preferred_lft", "0")
	c.Delegate(c.Uplinks[0], netip.MustParsePrefix("2001:db8:f::/64"))
	c.Delegate(c.Uplinks[1], netip.MustParsePrefix("2001:db8:e::/64"))
	c.checks = append(c.checks, func(t *testing.T) {
		for _, from := range []netip.Addr{c.LAN6, second} {
			q := box.NewRequest(world.KindTCP, c.Client6)
			q.From = netip.AddrPortFrom(from, 0)
			if a := c.LAN.Send(q); !a.OK || a.Peer.Addr() != from {
				t.Errorf("from %s: %v, seen as %s", from, a, a.Peer)
			}
		}
	})
}
