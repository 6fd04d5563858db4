package outbound

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
)

// wantProgress wants all streams to go on.
func (all outboundStreams) wantProgress(t *testing.T, after string) {
	t.Helper()
	for name, s := range all {
		if err := s.Await(t.Context(), outboundRate/32); err != nil {
			t.Errorf("%s: the stream %s: %v", after, name, err)
		}
	}
}

// Reloads give uplinks other ids: those of each other, one that nobody had, names and ids in a circle. All that is open keeps its uplink,
// also without policies, whichever way it began: from the gateway and from a host inside, by the tier that is no longer the first one, and
// from outside to both of them. No packet leaves by another uplink.
func TestConnectionsKeepTheirUplinkWhenIDsChange(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		g, s := startBySecond(t, backend)
		g.Gateway.ServeTCP(box.ServedPort)
		g.LAN.ServeTCP(box.ServedPort)
		streams, inbound := g.startOutbound(t), outboundStreams{}
		for _, u := range g.Uplinks {
			g.forwardPort(u)
			for _, to := range u.Addrs() {
				inbound.start(t, g.Client, netip.AddrPortFrom(to, box.ServedPort))
				inbound.start(t, g.Client, netip.AddrPortFrom(to, forwardedPort))
			}
		}
		reload := func(policy []string, replaced ...string) {
			t.Helper()
			g.replaced = strings.NewReplacer(replaced...)
			g.outbound(policy...)
			g.Must(0, "reload")
			g.AwaitInSync()
			after := fmt.Sprintf("after %q", replaced)
			inbound.wantProgress(t, after)
			if len(policy) > 0 {
				streams.wantProgress(t, after)
			}
		}
		other := balanced(`[["isp0"], ["isp1"]]`)
		reload(other, "id = 1\n", "id = 2\n", "id = 2\n", "id = 1\n")
		reload(other, "id = 1\n", "id = 9\n", "id = 2\n", "id = 1\n")
		reload(other, "id = 1\n", "id = 2\n", "id = 2\n", "id = 9\n", "isp0", "fibre", "isp1", "isp0")
		reload(other)
		for family := range map[int]bool{4: true, 6: true} {
			if n := g.pinned(family, 1); n < 2 {
				t.Errorf("%d connections in IPv%d have the mark of the second uplink", n, family)
			}
		}
		g.wantNoForeign(t)
		for _, stream := range streams {
			stream.Stop()
		}
		reload(nil)
		reload(nil, "id = 1\n", "id = 2\n", "id = 2\n", "id = 1\n")
		reload(nil)
		g.wantNoForeign(t)
		s.Stop()
	})
}
