package host_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whoever looks only where an event says that it was sees all that came of it.
func TestEventScopeCoversItsChange(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	facts, _, err := r.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eth1, anywhere := uplinks.ChangedScope{Link: facts.Links["eth1"].Index}, uplinks.ChangedScope{}
	scopes := r.watchScopes(t)
	mark := uplinks.ChangedScope{Link: facts.Links["lan0"].Index}
	for _, c := range []struct {
		what, does string
		at         uplinks.ChangedScope
	}{
		{"an address comes", "ip addr add 203.0.113.77/32 dev eth1", eth1},
		{"with an IPv4 address go routes by any link", "ip addr del 203.0.113.77/32 dev eth1", anywhere},
		{"with an IPv6 address routes by its own link alone", "ip -6 addr add 2001:db8:77::1/128 dev eth1 nodad; ip -6 addr del 2001:db8:77::1/128 dev eth1", eth1},
		{"main's default route", "ip route add default via 192.0.2.77 dev eth1 metric 77", eth1},
		{"a default route that may be its link's first in its table", "ip route add default via 192.0.2.77 dev eth1 table 77", anywhere},
		{"the same of IPv6", "ip -6 route add default via fe80::77 dev eth1 table 77", anywhere},
		{"main's default route in the place of one by another link", "ip route replace default via 192.0.2.77 dev eth1; ip route replace default via 198.51.100.1 dev eth0", anywhere},
		{"the same of IPv6", "ip -6 route replace default via fe80::77 dev eth1; ip -6 route replace default via 2001:db8:a::1 dev eth0", anywhere},
		{"a route of ours that is not where ours are", "ip route add 203.0.113.0/24 dev eth1 proto 82; ip route del 203.0.113.0/24 proto 82", anywhere},
		{"an object that leads directly", "ip nexthop add id 79 dev eth1; ip route add 203.0.113.0/24 nhid 79 scope link; ip nexthop del id 79", anywhere},
		{"main's default route by an object", "ip nexthop add id 77 via 192.0.2.77 dev eth1; ip route add default nhid 77 metric 78", eth1},
		{"the object goes, and the route with it", "ip nexthop del id 77", anywhere},
		{"an object that no default route has", "ip nexthop add id 78 via 192.0.2.77 dev eth1; ip nexthop del id 78; ip link set eth1 alias said", eth1},
		{"a table of ours", "ip route add 203.0.113.0/24 dev eth1 table 8202", uplinks.ChangedScope{Table: 8202}},
	} {
		r.gateway.Run("sh", "-ec", c.does)
		if _, _, err := r.Observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.gateway.Run("ip", "link", "set", "lan0", "alias", c.what)
		places := scopesUpTo(t, scopes, mark)
		if anywhereSeen := slices.Contains(places, anywhere); !slices.Contains(places, c.at) || anywhereSeen != (c.at == anywhere) {
			t.Errorf("%s: to look at %v, want %v", c.what, places, c.at)
		}
	}
	// What the whole look found in other tables, a look at the link alone finds again.
	whole, part := r.observeBoth(t, "eth1")
	if a, b := whole.Links["eth1"].Defaults, part.Links["eth1"].Defaults; len(a) != 3 || !slices.Equal(a, b) {
		t.Errorf("default routes by eth1: the whole look finds %v, that at the link %v", a, b)
	}
}

// A route of several keeps a hop whose link is down, though it leads nowhere: no look takes it for one.
func TestNextHopsOfADownLinkAreIgnored(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	r.gateway.Run("sh", "-ec", `
		for f in -4 -6; do
			[ $f = -4 ] && a=198.18.0.77 b=192.0.2.77 || a=fe80::76 b=fe80::77
			ip $f route add default metric 77 nexthop via $a dev eth0 onlink nexthop via $b dev eth1 onlink
		done
		ip link set eth1 down`)
	whole, part := r.observeBoth(t, "eth1")
	if l := part.Links["eth1"]; l.Up || len(l.Defaults)+len(l.Connected) != 0 {
		t.Errorf("by a link that is down: %+v", l)
	}
	if diff := cmp.Diff(whole.Links["eth1"], part.Links["eth1"], cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("eth1 (- is what the whole says):\n%s", diff)
	}
	if hops := whole.Links["eth0"].Defaults; !slices.ContainsFunc(hops, func(h uplinks.NextHop) bool { return h.Metric == 77 }) {
		t.Errorf("by the link that is up: %+v", hops)
	}
}

// A route of several hops is taken once by a look at all of their links.
func TestMultipathRouteIsReadOnce(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	r.gateway.Run("sh", "-ec", `
		ip route add default metric 77 nexthop via 198.51.100.77 dev eth0 nexthop via 192.0.2.77 dev eth1
		ip -6 route add default metric 77 nexthop via fe80::76 dev eth0 nexthop via fe80::77 dev eth1
		ip route add 203.0.113.0/24 nexthop via 198.51.100.77 dev eth0 nexthop via 192.0.2.77 dev eth1`)
	whole, part := r.observeBoth(t, "eth0", "eth1")
	exact := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
	if len(whole.Links["eth1"].Defaults) != 2 {
		t.Errorf("by eth1: %+v", whole.Links["eth1"].Defaults)
	}
	if diff := cmp.Diff(whole.Links, whole.Merge(part).Links, exact); diff != "" {
		t.Errorf("links (- is what the whole says):\n%s", diff)
	}
	anyOrder := cmpopts.SortSlices(func(a, b uplinks.GatewayRoute) bool {
		return a.Link+a.Dst.String()+a.Gateway.String() < b.Link+b.Dst.String()+b.Gateway.String()
	})
	if diff := cmp.Diff(whole.GatewayRoutes, whole.Merge(part).GatewayRoutes, exact, anyOrder); diff != "" {
		t.Errorf("routes by gateways (- is what the whole says):\n%s", diff)
	}
}

// observeBoth are one at the whole host, and one at some links alone.
func (r *kernelWorld) observeBoth(t *testing.T, links ...string) (whole, part uplinks.Facts) {
	t.Helper()
	var only []uplinks.Scope
	for _, link := range links {
		only = append(only, uplinks.Scope{Link: link})
	}
	var err error
	if whole, _, err = r.Observe(t.Context()); err == nil {
		part, _, err = r.Observe(t.Context(), only...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return whole, part
}

// scopeChannel is an EventHandler that sends the scopes of events.
type scopeChannel chan uplinks.ChangedScope

func (c scopeChannel) HandleEvent(e host.Event) { c <- e.Scope }

// watchScopes gives the places of events until the test ends, when it has subscribed.
func (r *kernelWorld) watchScopes(t *testing.T) <-chan uplinks.ChangedScope {
	t.Helper()
	scopes, done := make(scopeChannel, 1000), make(chan struct{})
	go func() {
		defer close(done)
		r.gateway.Do(func() {
			r.host.LinkEvents().Watch(t.Context(), scopes)
		})
	}()
	t.Cleanup(func() { <-done })
	<-scopes
	return scopes
}

func scopesUpTo(t *testing.T, scopes <-chan uplinks.ChangedScope, mark uplinks.ChangedScope) (seen []uplinks.ChangedScope) {
	t.Helper()
	for {
		select {
		case at := <-scopes:
			if at == mark {
				return seen
			}
			seen = append(seen, at)
		case <-time.After(time.Minute):
			t.Fatal("no event comes")
		}
	}
}
