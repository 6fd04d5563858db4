package uplinkstest

import (
	"net/netip"

	"replypath/marks"
	"replypath/uplinks"
)

// Interface is a link of the host for Conformance.
type Interface struct {
	Name     string
	Prefixes []netip.Prefix
	Routers  []netip.Addr // main has a default route by each
}

// Interfaces returns the links of a World for Conformance, all of them up, and main's default routes.
func Interfaces() []Interface {
	return []Interface{
		{"eth0", mustParsePrefixes("198.51.100.2/24", "2001:db8:a::2/64"), mustParseAddrs("198.51.100.1", "2001:db8:a::1")},
		{"eth1", mustParsePrefixes("192.0.2.2/24", "2001:db8:b::2/64"), nil},
		{"lan0", mustParsePrefixes("198.18.0.1/24", "2001:db8:c::1/64"), nil},
	}
}

func mustParsePrefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func mustParseAddrs(texts ...string) (all []netip.Addr) {
	for _, t := range texts {
		all = append(all, netip.MustParseAddr(t))
	}
	return all
}

// Settings returns settings with the uplinks eth0 and eth1 in both families.
func Settings() uplinks.Settings {
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{
		{Name: "fibre", ID: 1, Link: "eth0", WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Auto: true}, Gateway6: uplinks.Gateway{Auto: true}},
		{Name: "lte", ID: 2, Link: "eth1", WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.1")},
			Gateway6: uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}},
	}
	return s
}

// connected returns main's route to the network of an address, as the kernel makes it: without a source in IPv6.
func connected(p netip.Prefix) uplinks.Connected {
	c := uplinks.Connected{Dst: p.Masked()}
	if p.Addr().Is4() {
		c.Src = p.Addr()
	}
	return c
}

// Facts returns the facts of a host with the Interfaces.
func Facts() uplinks.Facts {
	f := uplinks.Facts{
		IPv6:  true,
		Links: map[string]uplinks.Link{"lo": {Name: "lo", Index: 1, Up: true, Carrier: true}},
		Firewalls: map[uplinks.Family]uplinks.FirewallKey{
			uplinks.IPv4: {Family: uplinks.IPv4, Backend: marks.NFT, Command: "iptables"},
			uplinks.IPv6: {Family: uplinks.IPv6, Backend: marks.NFT, Command: "ip6tables"},
		},
		Originals: map[uplinks.Tunable]uplinks.Original{},
	}
	for i, in := range Interfaces() {
		l := uplinks.Link{Name: in.Name, Index: i + 2, Up: true, Carrier: true}
		for _, p := range in.Prefixes {
			l.Addrs = append(l.Addrs, uplinks.Addr{Prefix: p})
			l.Connected = append(l.Connected, connected(p))
		}
		for _, router := range in.Routers {
			family := uplinks.FamilyOf(router)
			l.Defaults = append(l.Defaults, uplinks.NextHop{Family: family, Table: uplinks.MainTable, Gateway: router})
			f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: family.DefaultPrefix(), Gateway: router, Link: in.Name})
		}
		f.Links[in.Name] = l
	}
	return f
}
