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

// TestEventScopeCoversItsChange checks that an observation of the scope of an event sees everything that the change caused.
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
		name, script string
		want         uplinks.ChangedScope
	}{
		{"a new address", "ip addr add 203.0.113.77/32 dev eth1", eth1},
		{"a deleted IPv4 address, with which routes by any link go", "ip addr del 203.0.113.77/32 dev eth1", anywhere},
		{"a deleted IPv6 address, with which only routes by its own link go", "ip -6 addr add 2001:db8:77::1/128 dev eth1 nodad; ip -6 addr del 2001:db8:77::1/128 dev eth1", eth1},
		{"main's default route", "ip route add default via 192.0.2.77 dev eth1 metric 77", eth1},
		{"a default route that may be the first of its link in the table", "ip route add default via 192.0.2.77 dev eth1 table 77", anywhere},
		{"the same for IPv6", "ip -6 route add default via fe80::77 dev eth1 table 77", anywhere},
		{"a default route that replaces one by another link", "ip route replace default via 192.0.2.77 dev eth1; ip route replace default via 198.51.100.1 dev eth0", anywhere},
		{"the same for IPv6", "ip -6 route replace default via fe80::77 dev eth1; ip -6 route replace default via 2001:db8:a::1 dev eth0", anywhere},
		{"a route with the protocol of replypath in another table", "ip route add 203.0.113.0/24 dev eth1 proto 82; ip route del 203.0.113.0/24 proto 82", anywhere},
		{"a nexthop object without a gateway", "ip nexthop add id 79 dev eth1; ip route add 203.0.113.0/24 nhid 79 scope link; ip nexthop del id 79", anywhere},
		{"a default route by a nexthop object", "ip nexthop add id 77 via 192.0.2.77 dev eth1; ip route add default nhid 77 metric 78", eth1},
		{"a nexthop object that is deleted with its route", "ip nexthop del id 77", anywhere},
		{"a nexthop object without a default route", "ip nexthop add id 78 via 192.0.2.77 dev eth1; ip nexthop del id 78; ip link set eth1 alias said", eth1},
		{"a route in the table of an uplink", "ip route add 203.0.113.0/24 dev eth1 table 8202", uplinks.ChangedScope{Table: 8202}},
	} {
		r.gateway.Run("sh", "-ec", c.script)
		r.gateway.Run("ip", "link", "set", "lan0", "alias", c.name)
		got := scopesUpTo(t, scopes, mark)
		// Only now: an observation that is quicker than the events would let a new nexthop object look like a used one.
		if _, _, err := r.Observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if anywhereSeen := slices.Contains(got, anywhere); !slices.Contains(got, c.want) || anywhereSeen != (c.want == anywhere) {
			t.Errorf("%s: scopes %v, want %v", c.name, got, c.want)
		}
	}
	// A partial observation of the link reads the tables in which the full one has found its routes.
	whole, part := r.observeBoth(t, "eth1")
	if a, b := whole.Links["eth1"].Defaults, part.Links["eth1"].Defaults; len(a) != 3 || !slices.Equal(a, b) {
		t.Errorf("default routes by eth1: the full observation has %v, the partial one %v", a, b)
	}
}

// TestNextHopsOfADownLinkAreIgnored uses a multipath route, in which the kernel keeps the hop of a link that is down.
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
	if diff := cmp.Diff(whole.Links["eth1"], part.Links["eth1"], cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, marks.List[uplinks.Metric]{})); diff != "" {
		t.Errorf("eth1 (- is what the whole says):\n%s", diff)
	}
	if hops := whole.Links["eth0"].Defaults; !slices.ContainsFunc(hops, func(h uplinks.NextHop) bool { return h.Metric == 77 }) {
		t.Errorf("by the link that is up: %+v", hops)
	}
}

// TestMultipathRouteIsReadOnce reads all links of a multipath route in one partial observation.
func TestMultipathRouteIsReadOnce(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	r.gateway.Run("sh", "-ec", `
		ip route add default metric 77 nexthop via 198.51.100.77 dev eth0 nexthop via 192.0.2.77 dev eth1
		ip -6 route add default metric 77 nexthop via fe80::76 dev eth0 nexthop via fe80::77 dev eth1
		ip route add 203.0.113.0/24 nexthop via 198.51.100.77 dev eth0 nexthop via 192.0.2.77 dev eth1`)
	whole, part := r.observeBoth(t, "eth0", "eth1")
	exact := cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, marks.List[uplinks.Metric]{})
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

// observeBoth returns the facts of a full observation, and of a partial one of some links.
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

// scopeChannel is an EventHandler that sends the scopes of events that are not foreign.
type scopeChannel chan uplinks.ChangedScope

func (c scopeChannel) HandleEvent(e host.Event) {
	if !e.Foreign {
		c <- e.Scope
	}
}

// watchScopes returns the scopes of events until the test ends. It returns when the subscription has begun.
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

func scopesUpTo(t *testing.T, scopes <-chan uplinks.ChangedScope, mark uplinks.ChangedScope) (before []uplinks.ChangedScope) {
	t.Helper()
	for {
		select {
		case scope := <-scopes:
			if scope == mark {
				return before
			}
			before = append(before, scope)
		case <-time.After(time.Minute):
			t.Fatal("no event comes")
		}
	}
}
