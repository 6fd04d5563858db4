package rtnl

import (
	"net/netip"
	"testing"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// Of a full routing table the first routes are kept, the first of each link, those for documentation, and all that is not
// of its kind.
func TestAFullRoutingTableIsCropped(t *testing.T) {
	c := newCrop(uplinks.IPv4)
	via := hop{link: 2, via: netip.MustParseAddr("192.0.2.1")}
	ordinary := listed{table: uplinks.MainTable, kind: uplinks.Unicast, protocol: 186, hop: via, dst: netip.MustParsePrefix("198.18.7.0/24")}
	take := func(what string, kept bool, change func(*listed)) {
		t.Helper()
		before, r := len(c.routes), ordinary
		if change != nil {
			change(&r)
		}
		c.take(&r)
		if got := len(c.routes) > before; got != kept {
			t.Errorf("%s is kept: %v, want %v", what, got, kept)
		}
	}
	for range manyRouted {
		take("one of the first", true, nil)
	}
	take("one more", false, nil)
	take("the first by another link", true, func(r *listed) { r.hop.link = 3 })
	take("the second by it", false, func(r *listed) { r.hop.link = 3 })
	take("one of two hops, one of them new", true, func(r *listed) { r.more = []hop{via, {link: 4, via: via.via}} })
	take("one of two hops", false, func(r *listed) { r.more = []hop{via, {link: 4, via: via.via}} })
	take("one for documentation", true, func(r *listed) { r.dst = netip.MustParsePrefix("203.0.113.128/25") })
	take("one for half of all", true, func(r *listed) { r.dst = netip.MustParsePrefix("128.0.0.0/1") })
	take("a default route", true, func(r *listed) { r.dst = netip.MustParsePrefix("0.0.0.0/0") })
	take("one on the link", true, func(r *listed) { r.hop.via = netip.Addr{} })
	take("one of another table", true, func(r *listed) { r.table = 100 })
	take("one of ours", true, func(r *listed) { r.protocol = uplinks.Protocol })
	if c.left[2] != 2 || c.left[3] != 1 || c.left[4] != 1 {
		t.Errorf("left out by link: %v", c.left)
	}
}

// What a message says beyond what we write makes a route another one.
func TestRoutesAreReadWhole(t *testing.T) {
	plain := listed{family: uplinks.IPv4, kind: uplinks.Unicast, scope: unix.RT_SCOPE_LINK}
	if got := plain.rest(); got != "" {
		t.Fatalf("of a route as we write it is left %q", got)
	}
	as := route(&plain, nil)
	for what, change := range map[string]func(*listed){
		"a scope":             func(r *listed) { r.scope = unix.RT_SCOPE_HOST },
		"a type of service":   func(r *listed) { r.tos = 4 },
		"a source":            func(r *listed) { r.from = netip.MustParsePrefix("192.0.2.0/24") },
		"a preference":        func(r *listed) { r.pref = 1 },
		"a nexthop object":    func(r *listed) { r.nexthop = 7 },
		"several hops":        func(r *listed) { r.more = []hop{{link: 2}, {link: 3}} },
		"an unread attribute": func(r *listed) { r.odd = 1 << unix.RTA_ENCAP },
	} {
		r := plain
		change(&r)
		if route(&r, nil) == as {
			t.Errorf("a route with %s reads as one without", what)
		}
	}
}

func FuzzListedRoutes(f *testing.F) {
	f.Add([]byte("\x02\x18\x00\x00\xfe\x04\xfd\x01\x00\x00\x00\x00\x08\x00\x01\x00\xc0\x00\x02\x00\x08\x00\x04\x00\x02\x00\x00\x00"))
	f.Add([]byte("\x02\x00\x00\x00\xfe\x04\x00\x01\x00\x00\x00\x00\x14\x00\x09\x00\x10\x00\x00\x01\x02\x00\x00\x00\x08\x00\x05\x00\xc0\x00\x02\x01"))
	f.Fuzz(func(t *testing.T, m []byte) {
		r, err := readListed(m, uplinks.IPv4)
		if err != nil && len(m) >= unix.SizeofRtMsg {
			t.Error(err)
		}
		for range r.hops() {
			r.rest()
		}
	})
}
