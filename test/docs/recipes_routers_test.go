package docs

import (
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// behind4 and behind6 are the addresses of a client behind a second router on eth1.
var behind4, behind6 = netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("2001:db8:c::77")

// secondRouter makes the neighbour on eth1 a router, with a client behind it to which no other router leads.
func (c *recipeRun) secondRouter() {
	c.t.Helper()
	u := c.Uplinks[1]
	router, client := u.Neighbour, c.Host("behind")
	router.Link("eth0").LinkLocal("fe80::77")
	c.leadTo(router, client).sendBy("192.0.2.77")
	c.checks = append(c.checks, func(t *testing.T) { c.wantRepliesBehind(t, client) })
}

// accessLink is the client's link to a router.
type accessLink struct{ *world.Link }

// leadTo makes the host a router to the client.
func (c *recipeRun) leadTo(router, client *world.Host) accessLink {
	c.t.Helper()
	router.Forward()
	access, link := c.Join(router, "access0", client, router.Name)
	access.LinkLocal("fe80::1")
	link.LinkLocal("fe80::10")
	router.AddRoute(world.Route{To: netip.PrefixFrom(behind4, 32), Link: access})
	router.AddRoute(world.Route{To: netip.PrefixFrom(behind6, 128), Via: netip.MustParseAddr("fe80::10"), Link: access})
	return accessLink{link}
}

// sendBy makes the client send by the link, to the router with that address.
func (l accessLink) sendBy(router string) {
	l.Host.Run("ip", "addr", "replace", behind4.String()+"/32", "dev", l.Name)
	l.Host.Run("ip", "addr", "replace", behind6.String()+"/128", "dev", l.Name, "nodad")
	l.Host.Run("ip", "route", "replace", "default", "via", router, "dev", l.Name, "onlink", "src", behind4.String())
	l.Host.Run("ip", "-6", "route", "replace", "default", "via", "fe80::1", "dev", l.Name, "src", behind6.String())
}

// wantRepliesBehind wants replies to requests of the client behind the second router.
func (c *recipeRun) wantRepliesBehind(t *testing.T, client *world.Host) {
	t.Helper()
	for _, to := range c.Uplinks[1].Addrs() {
		box.WantReplies(t, client, to, c.kinds)
	}
}

// pairOfRouters makes the neighbour on eth1 and another host a pair that shares 192.0.2.77 and fe80::77 by VRRP, with a virtual
// hardware address. Replies come by the first, and by the second when the first ends.
func (c *recipeRun) pairOfRouters() {
	c.t.Helper()
	u := c.Uplinks[1]
	first, second, client := u.Neighbour, c.Host("nb2"), c.Host("behind")
	port, link := c.Join(u.ISP, "port2", second, "eth0")
	u.ISP.Run("ip", "link", "set", port.Name, "master", "net0")
	first.Run("ip", "addr", "flush", "dev", "eth0")
	var routers []box.VRRP
	var accesses []accessLink
	for i, l := range []*world.Link{first.Link("eth0"), link} {
		l.LinkLocal(fmt.Sprintf("fe80::1%d", i+2))
		l.Addr(fmt.Sprintf("192.0.2.1%d/24", i+2), fmt.Sprintf("2001:db8:b::1%d/64", i+2))
		accesses = append(accesses, c.leadTo(l.Host, client))
		routers = append(routers, box.VRRP{Router: l.Host, Link: "eth0", Priority: 150 - 50*i, UseVMAC: true, Addresses: []string{"192.0.2.77/32", "fe80::77/128"}})
	}
	keepalived := routers[0].Start(c.t)
	routers[1].Start(c.t)
	routers[0].Await(c.t)
	accesses[0].sendBy("192.0.2.12")
	c.checks = append(c.checks, func(t *testing.T) {
		c.wantRepliesBehind(t, client)
		keepalived.Process.Signal(syscall.SIGTERM)
		_ = keepalived.Wait()
		routers[1].Await(t)
		accesses[1].sendBy("192.0.2.13")
		c.wantRepliesBehind(t, client)
	})
}
