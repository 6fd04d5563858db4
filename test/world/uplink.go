package world

import (
	"fmt"
	"net/netip"
)

// Uplink is one way from the gateway to the client and back: the gateway's link, the wire, and the ISP's router.
type Uplink struct {
	Index int
	ISP   *Host
	Link  *Link // the gateway's end: eth0, eth1, ...
	Wire  *Link // the ISP's end, port0: record here what really left by the uplink
	Side  *Link // the ISP's link with the gateway's network: the wire, or the bridge that the wire is a port of

	Prefix4, Prefix6       netip.Prefix
	Addr4, Addr6           netip.Addr // the gateway's addresses on the uplink
	Second4, Second6       netip.Addr // its second addresses: there only with Options.Second
	Router4, Router6       netip.Addr // the ISP's addresses on the uplink
	RouterLL               netip.Addr // the ISP's link-local address: fe80::1 on every uplink
	AccessLink, ClientLink *Link      // the hop between the ISP and the client: the ISP's end, the client's end
	Refused                *Link      // where the ISP sends what does not come from its own prefix; record to see it
	Neighbour              *Host      // the host in the uplink's own prefix; nil without Options.Neighbours
}

// Port4 returns the gateway's IPv4 address on the uplink, with a port.
func (u *Uplink) Port4(port uint16) netip.AddrPort { return netip.AddrPortFrom(u.Addr4, port) }

// Port6 returns the gateway's IPv6 address on the uplink, with a port.
func (u *Uplink) Port6(port uint16) netip.AddrPort { return netip.AddrPortFrom(u.Addr6, port) }

// Addrs returns the gateway's first addresses on the uplink, IPv4 then IPv6.
func (u *Uplink) Addrs() []netip.Addr { return []netip.Addr{u.Addr4, u.Addr6} }

// Has reports whether the address is in the uplink's own prefixes: its ISP takes it for a source.
func (u *Uplink) Has(a netip.Addr) bool { return u.Prefix4.Contains(a) || u.Prefix6.Contains(a) }

// newUplink deals out the addresses of the uplink with that index.
func newUplink(index int) *Uplink {
	u := &Uplink{Index: index, RouterLL: netip.MustParseAddr("fe80::1")}
	switch index {
	case 0:
		u.Prefix4, u.Prefix6 = netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:a::/64")
	case 1:
		u.Prefix4, u.Prefix6 = netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:b::/64")
	default:
		u.Prefix4 = netip.MustParsePrefix(fmt.Sprintf("198.19.%d.0/24", index))
		u.Prefix6 = netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x::/64", 0x100+index))
	}
	u.Router4, u.Router6 = u.hostAddrs(1)
	u.Addr4, u.Addr6 = u.hostAddrs(2)
	u.Second4, u.Second6 = u.hostAddrs(3)
	return u
}

// hostAddrs returns the pair of addresses with that number in the uplink's prefixes; 77 is written 77 in both families.
func (u *Uplink) hostAddrs(number byte) (netip.Addr, netip.Addr) {
	v4, v6 := u.Prefix4.Addr().As4(), u.Prefix6.Addr().As16()
	v4[3] = number
	v6[15] = number/10<<4 | number%10
	return netip.AddrFrom4(v4), netip.AddrFrom16(v6)
}
