package inspect_test

import (
	"net/netip"

	"replypath/uplinks"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// uplinkLink returns a link with an address in each family.
func uplinkLink(change func(*uplinks.Link)) uplinks.Link {
	l := uplinks.Link{
		Name: "eth0", Index: 2, Up: true, Carrier: true,
		Addrs:     []uplinks.Addr{{Prefix: prefix("192.0.2.2/24")}, {Prefix: prefix("2001:db8:b::2/64")}, {Prefix: prefix("fe80::2/64"), LinkLocal: true}},
		Connected: []uplinks.Connected{{Dst: prefix("192.0.2.0/24"), Src: ip("192.0.2.2")}, {Dst: prefix("2001:db8:b::/64")}, {Dst: prefix("fe80::/64")}},
	}
	if change != nil {
		change(&l)
	}
	return l
}

func defaults(hops ...uplinks.NextHop) func(*uplinks.Link) {
	return func(l *uplinks.Link) { l.Defaults = hops }
}

// hop returns a default route in main.
func hop(gateway string, metric uint32) uplinks.NextHop {
	return uplinks.NextHop{Family: uplinks.FamilyOf(ip(gateway)), Table: uplinks.MainTable, Metric: metric, Gateway: ip(gateway)}
}
