package host_test

import (
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// TestRoutesThatShadowOursAreDeleted deletes foreign routes that take precedence over those of replypath, once by the lines of
// the plan and once by a sync.
func TestRoutesThatShadowOursAreDeleted(t *testing.T) {
	r := newKernelWorld(t, marks.NFT)
	sync := func(what string) {
		t.Helper()
		if _, err := uplinks.Sync(t.Context(), r, uplinkstest.Settings()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	sync("at first")
	for _, c := range []struct{ what, does string }{
		{"several hops", "ip route prepend default table 8202 nexthop via 192.0.2.8 dev eth1 nexthop via 192.0.2.9 dev eth1"},
		{"an object", "ip nexthop replace id 7 via 192.0.2.9 dev eth1; ip route prepend default nhid 7 table 8202"},
		{"an object of IPv6", "ip nexthop replace id 8 via fe80::9 dev eth1; ip -6 route replace default nhid 8 metric 1024 table 8202"},
		{"a type of service", "ip route add default via 192.0.2.9 dev eth1 tos 0x10 table 8202"},
		{"a source", "ip -6 route add default via fe80::9 dev eth1 from 2001:db8::/64 metric 1024 table 8202"},
		{"a scope", "ip route prepend default dev eth1 table 8202 scope host"},
	} {
		r.gateway.Run("sh", "-ec", c.does)
		plan, _, err := uplinks.Preview(t.Context(), r, uplinkstest.Settings(), nil)
		if err != nil || len(plan) == 0 {
			t.Errorf("%s shadows a route, and the plan is empty: %v", c.what, err)
		}
		r.gateway.Run("sh", "-ec", plan.String())
		if plan, _, err = uplinks.Preview(t.Context(), r, uplinkstest.Settings(), nil); err != nil || len(plan) > 0 {
			t.Errorf("%s: the lines of the plan left steps, %v:\n%s", c.what, err, plan)
		}
		sync(c.what)
		r.gateway.Run("sh", "-ec", c.does)
		sync(c.what)
	}
}
