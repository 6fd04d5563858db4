package outbound

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// The rules move from backend to backend while connections are open: none ends, each sender keeps its uplink, new connections
// have a source of their own uplink all the time, and nothing stays in the old backend. The hash of IPv4 senders is the same in
// all backends.
func TestBackendChangeDisturbsNoConnection(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0], balanced(`[["isp0", "isp1"]]`, `sticky = "client"`)...)
	const clients = 6
	for i := range clients {
		g.LAN.Run("ip", "addr", "add", fmt.Sprintf("198.18.0.%d/24", 100+i), "dev", "eth0")
	}
	g.Gateway.ServeTCP(box.ServedPort)
	before := g.Gateway.Run("nft", "list", "ruleset")
	s := g.Start()
	g.AwaitInSync()
	inbound := g.StartConnections(t, 4, g.Uplinks...)
	held := append(g.hold(t, g.LAN, 5), g.hold(t, g.Gateway, 5)...)
	kept := g.senderUplinks(t, clients)
	for _, backend := range []string{box.Nftables, box.Backends[1], box.Nftables, box.Backends[0]} {
		g.Settings[0] = backend
		g.outbound(balanced(`[["isp0", "isp1"]]`, `sticky = "client"`)...)
		g.Must(0, "reload")
		g.AwaitInSync()
		wantAlive(t, backend, 5, held)
		inbound.WantUndisturbed(t)
		if now := g.senderUplinks(t, clients); now != kept {
			t.Errorf("%s: senders use %s, before %s", backend, now, kept)
		}
		for _, to := range g.servers() {
			g.send(t, g.LAN, world.KindTCP, to, 5)
			g.send(t, g.Gateway, world.KindUDP, to, 5)
		}
		native := strings.Contains(g.Gateway.Run("nft", "list", "tables"), "inet replypath\n")
		saved := g.Gateway.Run("iptables-nft-save") + g.Gateway.Run("iptables-legacy-save")
		if native != (backend == box.Nftables) || strings.Contains(saved, "REPLYPATH") == native {
			t.Errorf("%s: native %t:\n%s", backend, native, saved)
		}
	}
	g.wantNoForeign(t)
	s.Stop()
	g.Must(0, "flush")
	if after := g.Gateway.Run("nft", "list", "ruleset"); strings.TrimSpace(after) != strings.TrimSpace(before) {
		t.Errorf("left behind:\n%s", after)
	}
}

// senderUplinks returns the uplinks of the senders in their order.
func (g *gateway) senderUplinks(t *testing.T, n int) string {
	t.Helper()
	var used []int
	for i := range n {
		q := box.NewRequest(world.KindUDP, g.Client4)
		q.From, q.Timeout = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("198.18.0.%d", 100+i)), 0), 20*time.Second
		a := g.LAN.Send(q)
		if !a.OK {
			t.Fatalf("from %s: %v", q.From, a)
		}
		used = append(used, g.uplinkOf(a.Peer.Addr()))
	}
	return fmt.Sprint(used)
}
