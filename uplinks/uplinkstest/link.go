package uplinkstest

import (
	"net/netip"

	"replypath/uplinks"
)

// Link returns a link with an address in each family, as change leaves it.
func Link(change func(*uplinks.Link)) uplinks.Link {
	prefix := netip.MustParsePrefix
	l := uplinks.Link{
		Name: "eth0", Index: 2, Up: true, Carrier: true,
		Addrs:     []uplinks.Addr{{Prefix: prefix("192.0.2.2/24")}, {Prefix: prefix("2001:db8:b::2/64")}, {Prefix: prefix("fe80::2/64"), LinkLocal: true}},
		Connected: []uplinks.Connected{{Dst: prefix("192.0.2.0/24"), Src: netip.MustParseAddr("192.0.2.2")}, {Dst: prefix("2001:db8:b::/64")}, {Dst: prefix("fe80::/64")}},
	}
	if change != nil {
		change(&l)
	}
	return l
}

// Defaults returns a change that gives a link default routes.
func Defaults(hops ...uplinks.NextHop) func(*uplinks.Link) {
	return func(l *uplinks.Link) { l.Defaults = hops }
}

// Hop returns a default route in main.
func Hop(gateway string, metric uint32) uplinks.NextHop {
	a := netip.MustParseAddr(gateway)
	return uplinks.NextHop{Family: uplinks.FamilyOf(a), Table: uplinks.MainTable, Metric: metric, Gateway: a}
}
