package rtnl_test

import (
	"net/netip"
	"testing"

	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// The kernel logged each request for the neighbours of IPv6, whose header was too long, and accepted it only without strict checks.
func TestFailedGatewaysOfIPv6AreMarked(t *testing.T) {
	w := world.New(t)
	host := w.Host("gw")
	near, _ := w.Join(host, "eth0", w.Host("isp"), "port")
	near.Addr("2001:db8:1::2/64")
	host.Run("ip", "-6", "route", "add", "2001:db8:2::/64", "via", "2001:db8:1::1", "dev", near.Name)
	host.Run("ip", "-6", "route", "add", "2001:db8:3::/64", "via", "2001:db8:1::3", "dev", near.Name)
	host.Run("ip", "-6", "neigh", "replace", "2001:db8:1::1", "dev", near.Name, "lladdr", "02:00:00:00:00:01", "nud", "permanent")
	host.Run("ip", "-6", "neigh", "replace", "2001:db8:1::3", "dev", near.Name, "nud", "failed")
	host.Do(func() {
		h, err := rtnl.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		for destination, failed := range map[string]bool{"2001:db8:2::9": false, "2001:db8:3::9": true} {
			d, err := h.PolicyDatabase(t.Context(), uplinks.IPv6, netip.MustParseAddr(destination))
			if err != nil {
				t.Fatal(err)
			}
			if hops := hopsTo(d, destination); len(hops) != 1 || hops[0].Failed != failed {
				t.Errorf("the next hops to %s are %+v, want that one has failed: %v", destination, hops, failed)
			}
		}
	})
}

// hopsTo returns the next hops of the routes to the destination that have a gateway.
func hopsTo(d *rpdb.Database, destination string) (hops []rpdb.Hop) {
	for _, routes := range d.Tables {
		for _, r := range routes {
			if r.Dst.Contains(netip.MustParseAddr(destination)) && len(r.Hops) > 0 && r.Hops[0].Via.IsValid() {
				hops = append(hops, r.Hops...)
			}
		}
	}
	return hops
}
