package rtnl

import (
	"net/netip"
	"testing"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// Of a full routing table the first routes, the first of each link, those to documentation prefixes, and all other kinds of
// routes are kept.
func TestFullRoutingTableIsFiltered(t *testing.T) {
	filter := newRouteFilter(uplinks.IPv4)
	via := hop{link: 2, via: netip.MustParseAddr("192.0.2.1")}
	base := rawRoute{table: uplinks.MainTable, routeType: uplinks.Unicast, protocol: 186, hop: via, dst: netip.MustParsePrefix("198.18.7.0/24")}
	add := func(name string, kept bool, change func(*rawRoute)) {
		t.Helper()
		before, r := len(filter.routes), base
		if change != nil {
			change(&r)
		}
		filter.add(&r)
		if got := len(filter.routes) > before; got != kept {
			t.Errorf("%s is kept: %v, want %v", name, got, kept)
		}
	}
	for range maxGatewayRoutes {
		add("one of the first", true, nil)
	}
	add("one more", false, nil)
	add("the first by another link", true, func(r *rawRoute) { r.hop.link = 3 })
	add("the second by it", false, func(r *rawRoute) { r.hop.link = 3 })
	add("one of two hops, one of them new", true, func(r *rawRoute) { r.multipath = []hop{via, {link: 4, via: via.via}} })
	add("one of two hops", false, func(r *rawRoute) { r.multipath = []hop{via, {link: 4, via: via.via}} })
	add("one for documentation", true, func(r *rawRoute) { r.dst = netip.MustParsePrefix("203.0.113.128/25") })
	add("one for half of all", true, func(r *rawRoute) { r.dst = netip.MustParsePrefix("128.0.0.0/1") })
	add("a default route", true, func(r *rawRoute) { r.dst = netip.MustParsePrefix("0.0.0.0/0") })
	add("one on the link", true, func(r *rawRoute) { r.hop.via = netip.Addr{} })
	add("one of another table", true, func(r *rawRoute) { r.table = 100 })
	add("one of ours", true, func(r *rawRoute) { r.protocol = uplinks.Protocol })
	if filter.omitted[2] != 2 || filter.omitted[3] != 1 || filter.omitted[4] != 1 {
		t.Errorf("left out by link: %v", filter.omitted)
	}
}

// A route with a property that replypath never writes differs from one without.
func TestUnwrittenAttributesMakeRoutesDiffer(t *testing.T) {
	base := rawRoute{family: uplinks.IPv4, routeType: uplinks.Unicast, scope: unix.RT_SCOPE_LINK}
	if got := base.unwritten(); got != "" {
		t.Fatalf("of a route as we write it is left %q", got)
	}
	want := toRoute(&base, nil)
	for name, change := range map[string]func(*rawRoute){
		"a scope":             func(r *rawRoute) { r.scope = unix.RT_SCOPE_HOST },
		"a type of service":   func(r *rawRoute) { r.tos = 4 },
		"a source":            func(r *rawRoute) { r.from = netip.MustParsePrefix("192.0.2.0/24") },
		"a preference":        func(r *rawRoute) { r.pref = 1 },
		"a nexthop object":    func(r *rawRoute) { r.nexthop = 7 },
		"several hops":        func(r *rawRoute) { r.multipath = []hop{{link: 2}, {link: 3}} },
		"an unread attribute": func(r *rawRoute) { r.unreadAttrs = 1 << unix.RTA_ENCAP },
	} {
		r := base
		change(&r)
		if toRoute(&r, nil) == want {
			t.Errorf("a route with %s reads as one without", name)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	f.Add([]byte("\x02\x18\x00\x00\xfe\x04\xfd\x01\x00\x00\x00\x00\x08\x00\x01\x00\xc0\x00\x02\x00\x08\x00\x04\x00\x02\x00\x00\x00"))
	f.Add([]byte("\x02\x00\x00\x00\xfe\x04\x00\x01\x00\x00\x00\x00\x14\x00\x09\x00\x10\x00\x00\x01\x02\x00\x00\x00\x08\x00\x05\x00\xc0\x00\x02\x01"))
	f.Fuzz(func(t *testing.T, m []byte) {
		r, err := parseRoute(m, uplinks.IPv4)
		if err != nil && len(m) >= unix.SizeofRtMsg {
			t.Error(err)
		}
		for range r.hops() {
			r.unwritten()
		}
	})
}
