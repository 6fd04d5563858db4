//go:build modules

package outbound

import (
	"net/netip"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// What leaves by an uplink's link for a network inside, in a VLAN, is not filtered. A kernel with VLANs and TCX is needed: make test-modules
// boots Debian's.
func TestRecentKernelFiltersPassVLANs(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		u := g.Uplinks[1]
		near, far := []string{"198.18.7.1/24", "2001:db8:77::1/64"}, []string{"198.18.7.2/24", "2001:db8:77::2/64"}
		g.Gateway.Run("ip", "link", "add", "link", u.Link.Name, "name", "lan7", "type", "vlan", "id", "7")
		u.ISP.Run("ip", "link", "add", "link", u.Wire.Name, "name", "lan7", "type", "vlan", "id", "7")
		for i := range near {
			g.Gateway.Run("ip", "addr", "add", near[i], "dev", "lan7")
			u.ISP.Run("ip", "addr", "add", far[i], "dev", "lan7")
		}
		g.Gateway.Run("ip", "link", "set", "lan7", "up")
		u.ISP.Run("ip", "link", "set", "lan7", "up")
		u.ISP.Run("ip", "route", "add", "198.18.0.0/24", "via", "198.18.7.1", "table", "77")
		u.ISP.Run("ip", "-6", "route", "add", "2001:db8:f::/64", "via", "2001:db8:77::1", "table", "77")
		for _, ip := range []string{"-4", "-6"} {
			to := map[string]string{"-4": "198.18.7.2", "-6": "2001:db8:77::2"}[ip]
			u.ISP.Run("ip", ip, "rule", "add", "from", to, "lookup", "77", "pref", "10")
		}
		g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
		g.Apply()
		for _, network := range far {
			to := netip.MustParsePrefix(network).Addr()
			box.Eventually(t, box.EventualTimeout, "the host in the VLAN answers at "+to.String(), func() bool {
				q := box.NewRequest(world.KindPing, to)
				q.Timeout = 300 * time.Millisecond
				return g.LAN.Send(q).OK
			})
		}
		if pins := g.Gateway.Pins("egress", "link_"); len(pins) != 2 {
			t.Errorf("the filters are %v", pins)
		}
	})
}
