package uplinks_test

import (
	"net/netip"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// address returns an address of a link with a change, or without one for nil.
func address(text string, change func(*uplinks.Addr)) uplinks.Addr {
	a := uplinks.Addr{Prefix: prefix(text)}
	if change != nil {
		change(&a)
	}
	return a
}

func deprecated(a *uplinks.Addr) { a.Deprecated = true }
func temporary(a *uplinks.Addr)  { a.Temporary = true }
func tentative(a *uplinks.Addr)  { a.Tentative = true }

// sourceCases has the addresses of an uplink's link, and the source address of its default route by the gateway: "" if the
// kernel selects one, of which path is the most likely.
var sourceCases = map[string]struct {
	gateway string
	addrs   []uplinks.Addr
	want    string
	path    string // "": as want
}{
	"the network of the modem first": {gateway: "192.0.2.1", want: "192.0.2.2",
		addrs: []uplinks.Addr{address("198.18.100.2/24", nil), address("192.0.2.2/24", nil)}},
	"the network of the modem first, IPv6": {gateway: "2001:db8:b::1", want: "2001:db8:b::2",
		addrs: []uplinks.Addr{address("2001:db8:100::2/64", nil), address("2001:db8:b::2/64", nil)}},
	"a secondary address after its primary": {gateway: "192.0.2.1", want: "192.0.2.2",
		addrs: []uplinks.Addr{address("192.0.2.2/24", nil), address("192.0.2.3/24", nil)}},
	"a deprecated primary": {gateway: "192.0.2.1", want: "192.0.2.3",
		addrs: []uplinks.Addr{address("192.0.2.2/24", deprecated), address("192.0.2.3/24", nil)}},
	"a deprecated address in the gateway's network": {gateway: "192.0.2.1", want: "192.0.2.2",
		addrs: []uplinks.Addr{address("198.18.100.2/24", nil), address("192.0.2.2/24", deprecated)}},
	"a deprecated address in the gateway's network, IPv6": {gateway: "2001:db8:b::1", path: "2001:db8:100::2",
		addrs: []uplinks.Addr{address("2001:db8:100::2/64", nil), address("2001:db8:b::2/64", deprecated)}},
	"a tentative address": {gateway: "192.0.2.1", want: "192.0.2.2",
		addrs: []uplinks.Addr{address("192.0.2.7/24", tentative), address("192.0.2.2/24", nil)}},
	"only a tentative address": {gateway: "192.0.2.1", addrs: []uplinks.Addr{address("192.0.2.7/24", tentative)}},
	"a temporary address": {gateway: "2001:db8:b::1", want: "2001:db8:b::2",
		addrs: []uplinks.Addr{address("2001:db8:b::77/64", temporary), address("2001:db8:b::2/64", nil)}},
	"a temporary address, the permanent one deprecated": {gateway: "2001:db8:b::1", want: "2001:db8:b::77",
		addrs: []uplinks.Addr{address("2001:db8:b::2/64", deprecated), address("2001:db8:b::77/64", temporary)}},
	"a link-local gateway": {gateway: "fe80::1", path: "2001:db8:b::2",
		addrs: []uplinks.Addr{address("2001:db8:b::77/64", temporary), address("2001:db8:b::2/64", nil)}},
	"a link-local gateway, only a deprecated address": {gateway: "fe80::1", want: "2001:db8:b::2",
		addrs: []uplinks.Addr{address("2001:db8:b::2/64", deprecated)}},
	"a unique local gateway": {gateway: "fd00::1", path: "fd00::2",
		addrs: []uplinks.Addr{address("fd00::2/64", nil), address("2001:db8:b::2/64", nil)}},
	"a unique local gateway, no other address": {gateway: "fd00::1", want: "fd00::2", addrs: []uplinks.Addr{address("fd00::2/64", nil)}},
	"a gateway in no network":                  {gateway: "203.0.113.1", path: "192.0.2.2", addrs: []uplinks.Addr{address("192.0.2.2/24", nil)}},
	"no address":                               {gateway: "192.0.2.1"},
}

func TestSourceAddressOfDefaultRoute(t *testing.T) {
	for name, c := range sourceCases {
		t.Run(name, func(t *testing.T) {
			l := uplinkstest.Link(func(l *uplinks.Link) { l.Addrs = c.addrs })
			gateway := uplinks.Gateway{Addr: ip(c.gateway)}
			family := uplinks.FamilyOf(gateway.Addr)
			if got := defaultRouteSource(gateway, l, family); got != c.want {
				t.Errorf("source of the default route %q, want %q", got, c.want)
			}
			if c.path == "" {
				c.path = c.want
			}
			hop, _ := l.NextHop(gateway, family)
			if got := addressText(l.PathSource(hop)); got != c.path {
				t.Errorf("source of the path %q, want %q", got, c.path)
			}
		})
	}
}

// defaultRouteSource returns the source address of the default route of an uplink's table, or "" for none.
func defaultRouteSource(gateway uplinks.Gateway, l uplinks.Link, family uplinks.Family) string {
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{ID: 1, Name: "up", Link: l.Name, Gateway4: gateway, Gateway6: gateway}}
	want := uplinks.Desired(s, uplinks.Facts{IPv6: true, Links: map[string]uplinks.Link{l.Name: l}}, nil)
	for k, r := range want.Routes {
		if k.Family == family && k.Dst == family.DefaultPrefix() {
			return addressText(r.Src)
		}
	}
	return "no route"
}

// addressText returns the address, or "" for the zero Addr.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// TestSourceAddressOfConnectedRoutes checks that the routes to the networks of the link have the sources that main's have.
func TestSourceAddressOfConnectedRoutes(t *testing.T) {
	l := uplinkstest.Link(func(l *uplinks.Link) {
		l.Connected = []uplinks.Connected{{Dst: prefix("192.0.2.0/24"), Src: ip("192.0.2.77")}, {Dst: prefix("203.0.113.0/24")}}
	})
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{{ID: 1, Name: "up", Link: l.Name, Gateway4: uplinks.Gateway{Addr: ip("192.0.2.1")}}}
	want := uplinks.Desired(s, uplinks.Facts{Links: map[string]uplinks.Link{l.Name: l}}, nil)
	for _, c := range l.Connected {
		key := uplinks.RouteKey{Family: uplinks.IPv4, Table: s.Table(s.Uplinks[0]), Dst: c.Dst}
		if r, exists := want.Routes[key]; !exists || r.Src != c.Src {
			t.Errorf("route to %s: %+v, want source %v", c.Dst, r, c.Src)
		}
	}
}
