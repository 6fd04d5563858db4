package docs

import (
	"net/netip"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// secondRouter makes the neighbour on eth1 a router, with a client behind it to which no other router leads.
func (c *recipeRun) secondRouter() {
	c.t.Helper()
	u := c.Uplinks[1]
	router, client := u.Neighbour, c.Host("behind")
	router.Forward()
	router.Link("eth0").LinkLocal("fe80::77")
	access, link := c.Join(router, "access0", client, "eth0")
	access.LinkLocal("fe80::1")
	link.LinkLocal("fe80::10")
	link.Addr("203.0.113.77/32", "2001:db8:c::77/128")
	router.AddRoute(world.Route{To: netip.MustParsePrefix("203.0.113.77/32"), Link: access})
	router.AddRoute(world.Route{To: netip.MustParsePrefix("2001:db8:c::77/128"), Via: netip.MustParseAddr("fe80::10"), Link: access})
	client.AddRoute(world.Route{To: world.DefaultPrefix4, Via: netip.MustParseAddr("192.0.2.77"), Link: link, Src: netip.MustParseAddr("203.0.113.77")})
	client.AddRoute(world.Route{To: world.DefaultPrefix6, Via: netip.MustParseAddr("fe80::1"), Link: link, Src: netip.MustParseAddr("2001:db8:c::77")})
	c.checks = append(c.checks, func(t *testing.T) {
		for _, to := range u.Addrs() {
			box.WantReplies(t, client, to, c.kinds)
		}
	})
}
