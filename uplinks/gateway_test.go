package uplinks_test

import (
	"net/netip"
	"testing"

	"replypath/uplinks"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func net(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// wan is a link with an address in each family.
func wan(change func(*uplinks.Link)) uplinks.Link {
	l := uplinks.Link{
		Name: "eth0", Index: 2, Up: true, Carrier: true,
		Addrs:     []uplinks.Addr{{Prefix: net("192.0.2.2/24")}, {Prefix: net("2001:db8:b::2/64")}, {Prefix: net("fe80::2/64"), LinkLocal: true}},
		Connected: []netip.Prefix{net("192.0.2.0/24"), net("2001:db8:b::/64"), net("fe80::/64")},
	}
	if change != nil {
		change(&l)
	}
	return l
}

func defaults(hops ...uplinks.NextHop) func(*uplinks.Link) {
	return func(l *uplinks.Link) { l.Defaults = hops }
}

func hop(gateway string, metric uint32) uplinks.NextHop {
	return uplinks.NextHop{Family: uplinks.FamilyOf(ip(gateway)), Table: uplinks.MainTable, Metric: metric, Gateway: ip(gateway)}
}

// table prints the default routes of the uplink's table in one family, as a plan writes them.
func table(u uplinks.Uplink, l uplinks.Link, family uplinks.Family) (lines []string) {
	s := uplinks.DefaultSettings()
	u.ID, u.Name, u.Link = 1, "up", "eth0"
	s.Uplinks = []uplinks.Uplink{u}
	f := uplinks.Facts{IPv6: true, Links: map[string]uplinks.Link{}}
	if l.Name != "" {
		f.Links[l.Name] = l
	}
	for _, step := range uplinks.Diff(uplinks.Desired(s, f), uplinks.NewState()) {
		if set, ok := step.(uplinks.SetRoute); ok && set.Key.Family == family && set.Key.Dst == family.Any() {
			lines = append(lines, set.String())
		}
	}
	return lines
}

const (
	held4 = "ip route replace unreachable default table 8201 metric 4294967295 protocol 82"
	held6 = "ip -6 route replace unreachable default table 8201 metric 4294967295 protocol 82"
)

func TestTheWayOut(t *testing.T) {
	auto, written4 := uplinks.Gateway{Auto: true}, uplinks.Gateway{Addr: ip("192.0.2.1")}
	way4 := "ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.2 table 8201 protocol 82"
	rfc5549 := hop("fe80::1", 0)
	rfc5549.Family = uplinks.IPv4
	ppp := func(l *uplinks.Link) {
		l.PointToPoint = true
		l.Addrs, l.Connected = []uplinks.Addr{{Prefix: net("192.0.2.2/32")}}, nil
	}
	withMTU := hop("192.0.2.1", 0)
	withMTU.MTU, withMTU.AdvMSS = 1400, 1360
	addresses := func(all ...uplinks.Addr) func(*uplinks.Link) { return func(l *uplinks.Link) { l.Addrs = all } }
	for name, c := range map[string]struct {
		gateway uplinks.Gateway
		link    uplinks.Link
		family  uplinks.Family
		release bool
		want    []string
	}{
		"a gateway as written": {gateway: written4, link: wan(nil), want: []string{way4, held4}},
		"a gateway outside the link's networks is on the link": {gateway: uplinks.Gateway{Addr: ip("203.0.113.1")}, link: wan(nil),
			want: []string{"ip route replace default via 203.0.113.1 dev eth0 src 192.0.2.2 table 8201 onlink protocol 82", held4}},
		"a link-local gateway is never outside": {gateway: uplinks.Gateway{Addr: ip("fe80::1")}, link: wan(nil), family: uplinks.IPv6,
			want: []string{"ip -6 route replace default via fe80::1 dev eth0 src 2001:db8:b::2 table 8201 metric 1024 protocol 82", held6}},
		"a gateway from the kernel's routes": {gateway: auto, link: wan(defaults(hop("192.0.2.1", 100))), want: []string{way4, held4}},
		"the first of the kernel's routes":   {gateway: auto, link: wan(defaults(hop("192.0.2.1", 50), hop("192.0.2.9", 100))), want: []string{way4, held4}},
		"only routes of the family":          {gateway: auto, link: wan(defaults(hop("fe80::1", 1), hop("192.0.2.1", 100))), want: []string{way4, held4}},
		"a gateway that a route says is on the link": {gateway: auto, link: wan(func(l *uplinks.Link) {
			far := hop("192.0.2.1", 0)
			far.OnLink = true
			l.Defaults = []uplinks.NextHop{far}
		}), want: []string{"ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.2 table 8201 onlink protocol 82", held4}},
		"what the kernel's route says of sizes": {gateway: auto, link: wan(defaults(withMTU)),
			want: []string{"ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.2 table 8201 mtu 1400 advmss 1360 protocol 82", held4}},
		"an IPv6 gateway of an IPv4 route": {gateway: auto, link: wan(defaults(rfc5549)),
			want: []string{"ip route replace default via inet6 fe80::1 dev eth0 src 192.0.2.2 table 8201 protocol 82", held4}},
		"a point-to-point link needs none": {gateway: auto, link: wan(ppp),
			want: []string{"ip route replace default dev eth0 scope link src 192.0.2.2 table 8201 protocol 82", held4}},
		"a point-to-point link without an address leads nowhere": {gateway: auto, link: wan(func(l *uplinks.Link) { ppp(l); l.Addrs = nil }), want: []string{held4}},
		"no route to learn from":                                 {gateway: auto, link: wan(nil), want: []string{held4}},
		"no route to learn from, released":                       {gateway: auto, link: wan(nil), release: true},
		"a link that is down":                                    {gateway: written4, link: wan(func(l *uplinks.Link) { l.Up, l.Carrier = false, false }), want: []string{held4}},
		"a link that is down, released":                          {gateway: written4, link: wan(func(l *uplinks.Link) { l.Up = false }), release: true},
		"no carrier holds the way":                               {gateway: written4, link: wan(func(l *uplinks.Link) { l.Carrier = false }), want: []string{way4, held4}},
		"no carrier releases the way":                            {gateway: written4, link: wan(func(l *uplinks.Link) { l.Carrier = false }), release: true},
		"released, but there":                                    {gateway: written4, link: wan(nil), release: true, want: []string{way4}},
		"a link in a VRF":                                        {gateway: written4, link: wan(func(l *uplinks.Link) { l.VRF = 77 }), want: []string{held4}},
		"no link":                                                {gateway: written4, want: []string{held4}},
		"a family that is not managed":                           {link: wan(nil)},
		"a tentative address is no source": {gateway: written4, link: wan(addresses(uplinks.Addr{Prefix: net("192.0.2.7/24"), Tentative: true}, uplinks.Addr{Prefix: net("192.0.2.2/24")})),
			want: []string{way4, held4}},
		"a deprecated address is the last choice": {gateway: written4, link: wan(addresses(uplinks.Addr{Prefix: net("192.0.2.7/24"), Deprecated: true}, uplinks.Addr{Prefix: net("192.0.2.2/24")})),
			want: []string{way4, held4}},
		"a deprecated address is better than none": {gateway: written4, link: wan(addresses(uplinks.Addr{Prefix: net("192.0.2.2/24"), Deprecated: true})),
			want: []string{way4, held4}},
		"a temporary address is not the host's": {gateway: uplinks.Gateway{Addr: ip("fe80::1")}, family: uplinks.IPv6,
			link: wan(addresses(uplinks.Addr{Prefix: net("2001:db8:b::77/64"), Temporary: true}, uplinks.Addr{Prefix: net("2001:db8:b::2/64")})),
			want: []string{"ip -6 route replace default via fe80::1 dev eth0 src 2001:db8:b::2 table 8201 metric 1024 protocol 82", held6}},
		"only tentative addresses: the kernel chooses": {gateway: written4, link: wan(addresses(uplinks.Addr{Prefix: net("192.0.2.7/24"), Tentative: true})),
			want: []string{"ip route replace default via 192.0.2.1 dev eth0 table 8201 protocol 82", held4}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.family == 0 {
				c.family = uplinks.IPv4
			}
			u := uplinks.Uplink{Gateway4: c.gateway, WhenDown: uplinks.Hold}
			if c.family == uplinks.IPv6 {
				u.Gateway4, u.Gateway6 = uplinks.Gateway{}, c.gateway
			}
			if c.release {
				u.WhenDown = uplinks.Release
			}
			got := table(u, c.link, c.family)
			if len(got) != len(c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("got  %s\nwant %s", got[i], c.want[i])
				}
			}
		})
	}
}
