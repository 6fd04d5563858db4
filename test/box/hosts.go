package box

import (
	"net/netip"
	"strings"

	"replypath/test/world"
)

// RouteToClientBy gives main a specific route to the client's network.
func (b *Box) RouteToClientBy(u *world.Uplink) {
	b.T.Helper()
	b.Gateway.AddRoute(world.Route{To: netip.PrefixFrom(b.Client4, 24).Masked(), Via: u.Router4, Link: u.Link})
	b.Gateway.AddRoute(world.Route{To: netip.PrefixFrom(b.Client6, 64).Masked(), Via: u.RouterLL, Link: u.Link})
}

// SetBlackHole makes the ISP take everything and pass on nothing.
func SetBlackHole(u *world.Uplink, on bool) {
	value := map[bool]string{true: "0", false: "1"}[on]
	u.ISP.SetSysctl("net.ipv4.ip_forward", value)
	u.ISP.SetSysctl("net.ipv6.conf.all.forwarding", value)
}

// SetNoCarrier takes the ISP's end of the uplink down, or brings it back.
func SetNoCarrier(u *world.Uplink, down bool) {
	if down {
		u.Wire.Down()
		return
	}
	u.Wire.Up()
	u.Wire.LinkLocal("fe80::1") // with the link go the IPv6 addresses
	u.Wire.Addr(netip.PrefixFrom(netip.MustParseAddr(strings.Replace(u.Addr6.String(), "::2", "::1", 1)), 64).String())
}

// AddDNAT translates every request at an uplink's address to a host inside.
func (b *Box) AddDNAT(to4, to6 netip.Addr) {
	b.T.Helper()
	for _, u := range b.Uplinks {
		b.Iptables(4, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr4.String(), "-j", "DNAT", "--to", to4.String())
		b.Iptables(6, "-t", "nat", "-A", "PREROUTING", "-d", u.Addr6.String(), "-j", "DNAT", "--to", to6.String())
	}
}

// ClientAddr returns the client's address of the family of to.
func (b *Box) ClientAddr(to netip.Addr) netip.Addr {
	if to.Is4() {
		return b.Client4
	}
	return b.Client6
}

// AddLink adds a link of ip(8)'s arguments, and sets it up.
func AddLink(h *world.Host, name string, what ...string) *world.Link {
	h.Run("ip", append([]string{"link", "add", "name", name}, what...)...)
	l := h.Link(name)
	l.Up()
	return l
}
