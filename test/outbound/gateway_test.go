package outbound

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// gateway is a gateway with replypath, whose connections begin inside: the world's client is the server of all of them.
type gateway struct {
	*box.Box
	refused []*world.Recorder // by uplink: what its ISP got from the gateway with a foreign source
	more    string            // the configuration behind the uplinks
	// uplinkKeys are further keys of the uplinks, by their index.
	uplinkKeys map[int]string
	// replaced is what the configuration has in place of other text; nil: nothing.
	replaced *strings.Replacer
}

// newGateway returns a gateway with two uplinks, strict source validation and this table [outbound]. What follows is below it.
func newGateway(t *testing.T, backend string, outbound ...string) *gateway {
	t.Helper()
	return newGatewayIn(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend, outbound...)
}

// newGatewayIn returns the gateway of the world, with this table [outbound].
func newGatewayIn(t *testing.T, w *world.Internet, backend string, outbound ...string) *gateway {
	t.Helper()
	b := box.New(t, w, backend)
	g := &gateway{Box: b, uplinkKeys: map[int]string{}}
	g.outbound(outbound...)
	for _, u := range w.Uplinks {
		g.refused = append(g.refused, u.Refused.Record(box.Stray))
	}
	w.Client.ServeTCP(box.ServedPort)
	w.Client.ServeUDP(box.ServedPort, world.Pktinfo)
	return g
}

// outbound writes a configuration with this table [outbound]: no lines, none.
func (g *gateway) outbound(lines ...string) {
	g.T.Helper()
	settings := g.Settings
	for i, line := range settings {
		if line == "[outbound]" {
			settings = settings[:i]
			break
		}
	}
	g.Settings = settings
	if len(lines) > 0 {
		g.Settings = append(append([]string{}, settings...), append([]string{"[outbound]"}, lines...)...)
	}
	g.Configure(g.Uplinks...)
	written, err := os.ReadFile(g.Config)
	if err != nil {
		g.T.Fatal(err)
	}
	config := string(written)
	for i, keys := range g.uplinkKeys {
		head := fmt.Sprintf("[uplinks.isp%d]\n", i)
		config = strings.Replace(config, head, head+keys, 1)
	}
	if config += g.more; g.replaced != nil {
		config = g.replaced.Replace(config)
	}
	g.Write(config)
}

// probeServer makes the service ping the server through every uplink, often. The time for a reply is what a busy machine needs.
func (g *gateway) probeServer() {
	g.probeServerWith(`interval = "200ms"`, `timeout = "2s"`, `retry = "100ms"`, "fall = 2", "rise = 2")
}

// probeServerWith makes the service ping the server through every uplink, with this table [probes].
func (g *gateway) probeServerWith(probes ...string) {
	g.Settings = append(append(g.Settings, "[probes]"), probes...)
	for _, u := range g.Uplinks {
		for i, to := range g.servers() {
			g.more += fmt.Sprintf("[uplinks.isp%d.probes.server%d]\ntarget = %q\n", u.Index, i, "icmp://"+netip.AddrPortFrom(to, 0).Addr().String())
		}
	}
	g.more = strings.ReplaceAll(g.more, g.Client6.String(), "["+g.Client6.String()+"]")
}

// startProbed starts the service, and waits until what the probes and proofs say about the uplinks has changed for the last time.
func (g *gateway) startProbed() *box.Service {
	g.T.Helper()
	s := g.Start()
	g.AwaitInSync()
	g.AwaitUp()
	return s
}

// startBySecond returns a running gateway whose policy prefers the second uplink, by which connections of the LAN begin.
func startBySecond(t *testing.T, backend string) (*gateway, *box.Service) {
	t.Helper()
	g := newGateway(t, backend, balanced(`[["isp1"], ["isp0"]]`)...)
	s := g.Start()
	g.AwaitInSync()
	g.awaitUplink(t, g.LAN, 1)
	return g, s
}

// startTiers returns a gateway whose service probes the server by each uplink, and prefers the first one. The lines are more of its policy.
func startTiers(t *testing.T, backend string, policy ...string) (*gateway, *box.Service) {
	t.Helper()
	g := newGateway(t, backend)
	g.probeServer()
	g.outbound(balanced(`[["isp0"], ["isp1"]]`, policy...)...)
	return g, g.startProbed()
}

// pinned returns the number of connections of a family that began inside and have the mark of the uplink.
func (g *gateway) pinned(family, uplink int) int {
	g.T.Helper()
	return len(g.pinnedConnections(family, uplink))
}

// pinnedConnections returns what conntrack(8) prints about the connections of a family that began inside and have the mark of the
// uplink.
func (g *gateway) pinnedConnections(family, uplink int) (all []string) {
	g.T.Helper()
	mark := fmt.Sprintf("0x%x/0x3f00", 0x2000|(uplink+1)<<8)
	for line := range strings.Lines(g.Gateway.Run("conntrack", "-L", "-f", map[int]string{4: "ipv4", 6: "ipv6"}[family], "-m", mark)) {
		if strings.Contains(line, "src=") {
			all = append(all, line)
		}
	}
	return all
}

// awaitUnpinned waits until no connection that began inside goes by the uplink. Connections of the gateway itself have its address:
// TCP that was ended and UDP stay in the table until their time is over, and no packet follows.
func (g *gateway) awaitUnpinned(t *testing.T, uplink int) {
	t.Helper()
	u := g.Uplinks[uplink]
	ended := func(line string) bool {
		own := strings.Contains(line, fmt.Sprintf(" src=%s dst=", u.Addr4)) || strings.Contains(line, fmt.Sprintf(" src=%s dst=", u.Addr6))
		return own && !strings.Contains(line, " ESTABLISHED ")
	}
	for _, family := range []int{4, 6} {
		box.Eventually(t, box.EventualTimeout, fmt.Sprintf("no IPv%d connection is pinned to uplink %d", family, uplink), func() bool {
			return len(slices.DeleteFunc(g.pinnedConnections(family, uplink), ended)) == 0
		})
	}
}

// awaitUplink waits until new connections of the host to both servers take the uplink.
func (g *gateway) awaitUplink(t *testing.T, from *world.Host, uplink int) {
	t.Helper()
	for _, to := range g.servers() {
		box.Eventually(t, box.EventualTimeout, fmt.Sprintf("connections to %s take uplink %d", to, uplink), func() bool {
			q := box.NewRequest(world.KindUDP, to)
			q.Timeout = 300 * time.Millisecond
			a := from.Send(q)
			return a.OK && g.uplinkOf(a.Peer.Addr()) == uplink
		})
	}
}

// servers returns the server's addresses in both families.
func (g *gateway) servers() []netip.Addr { return []netip.Addr{g.Client4, g.Client6} }

// uplinkOf returns the uplink by whose address the server saw the sender, -1 for none.
func (g *gateway) uplinkOf(peer netip.Addr) int {
	for _, u := range g.Uplinks {
		if peer == u.Addr4 || peer == u.Addr6 {
			return u.Index
		}
	}
	return -1
}

// send sends n requests of a kind and wants a reply to each. It returns how many took each uplink.
func (g *gateway) send(t *testing.T, from *world.Host, kind world.Kind, to netip.Addr, n int) []int {
	t.Helper()
	share := make([]int, len(g.Uplinks))
	for i := range n {
		q := box.NewRequest(kind, to)
		q.Timeout = 20 * time.Second
		a := from.Send(q)
		if !a.OK {
			t.Fatalf("%s request %d from %s to %s: %v", kind, i, from.Name, to, a)
		}
		u := g.uplinkOf(a.Peer.Addr())
		if u < 0 {
			t.Fatalf("%s from %s to %s: the server saw %s, which is no uplink's address", kind, from.Name, to, a.Peer)
		}
		share[u]++
	}
	return share
}

// wantNoForeign wants that no ISP got a packet with a foreign source. What an ISP cannot deliver is recorded too: replies of a proof
// that waited for the gateway's hardware address when the link had lost its carrier, which have the uplink's own source.
func (g *gateway) wantNoForeign(t *testing.T) {
	t.Helper()
	g.wantNoForeignBut(t, func(world.Packet) bool { return false })
}

// wantNoForeignBut wants what wantNoForeign does, but for packets that are none of the gateway's.
func (g *gateway) wantNoForeignBut(t *testing.T, others func(world.Packet) bool) {
	t.Helper()
	g.Settle()
	for i, r := range g.refused {
		u := g.Uplinks[i]
		foreign := slices.DeleteFunc(r.Packets(), func(p world.Packet) bool { return u.Has(p.Src) || others(p) })
		if n := len(foreign); n > 0 {
			t.Errorf("ISP %d got %d packets with a foreign source, such as %s", i, n, foreign[0])
		}
	}
}

// balanced returns a table [outbound] with one policy over the tiers.
func balanced(tiers string, more ...string) []string {
	return append([]string{`default = "all"`, `masquerade = "both"`, "[outbound.policies.all]", "tiers = " + tiers}, more...)
}
