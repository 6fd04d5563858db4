package outbound

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Connections of the host and of hosts behind it are spread over both uplinks, each with a source of its own uplink.
func TestConnectionsAreSpreadOverTheUplinks(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0", "isp1"]]`)...)
		g.Gateway.SetSysctl("net.ipv4.fib_multipath_hash_policy", "1")
		g.Gateway.SetSysctl("net.ipv6.fib_multipath_hash_policy", "1")
		g.Apply()
		for _, from := range []*world.Host{g.LAN, g.Gateway} {
			for _, kind := range []world.Kind{world.KindTCP, world.KindUDP} {
				for _, to := range g.servers() {
					if share := g.send(t, from, kind, to, 40); share[0] < 5 || share[1] < 5 {
						t.Errorf("%s from %s to %s: %v by each uplink", kind, from.Name, to, share)
					}
				}
			}
		}
		g.wantNoForeign(t)
	})
}
