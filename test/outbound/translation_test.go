package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// lossesOfPinning are ways in which another program ends the marking of connections that begin inside.
var lossesOfPinning = map[string]struct {
	nft      string
	iptables []string
}{
	"an empty chain":         {"flush chain TABLE FAM-pin", []string{"-F REPLYPATH-PIN"}},
	"no hook in POSTROUTING": {"flush chain TABLE FAM-postrouting", []string{"-F POSTROUTING"}},
	"no rules but of NAT":    {"flush chain TABLE FAM-postrouting; flush chain TABLE FAM-prerouting; flush chain TABLE FAM-output", []string{"-F"}},
}

// Without the chain that marks connections that begin inside their sources are translated nevertheless, and they go on after the
// repair, by the uplink that they began by.
func TestConnectionsAreTranslatedWithoutTheirMark(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp1"], ["isp0"]]`)...)
		g.Apply()
		for name, loss := range lossesOfPinning {
			g.awaitUplink(t, g.LAN, 1)
			for _, family := range []int{4, 6} {
				g.HarmChains(family, loss.nft, loss.iptables...)
			}
			held := g.hold(t, g.LAN, 5)
			for _, to := range g.servers() {
				if share := g.send(t, g.LAN, world.KindUDP, to, 3); share[1] != 3 {
					t.Errorf("%s: to %s: %v by each uplink", name, to, share)
				}
			}
			g.Apply()
			if n4, n6 := g.pinned(4, 1), g.pinned(6, 1); n4 < 5 || n6 < 5 {
				t.Errorf("%s: %d and %d connections have their mark after the repair", name, n4, n6)
			}
			g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
			g.Apply()
			wantAlive(t, "the repair of "+name, 5, held)
			g.outbound(balanced(`[["isp1"], ["isp0"]]`)...)
			g.Apply()
			g.wantNoForeign(t)
		}
	})
}

// A stream that begins while no rule translates it does not leave, until the repair.
func TestStreamsThatBeganWithoutTranslationAreTranslatedByTheRepair(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		g.Apply()
		g.awaitUplink(t, g.LAN, 0)
		g.Shell("nft delete table inet replypath-backup")
		for _, family := range []int{4, 6} {
			if backend == box.Nftables {
				g.HarmChains(family, "flush chain TABLE FAM-nat-postrouting")
			} else {
				g.Iptables(family, "-t", "nat", "-F", "POSTROUTING")
			}
		}
		for i, to := range g.servers() {
			local := netip.AddrPortFrom([]netip.Addr{g.LAN4, g.LAN6}[i], 5000)
			socket := g.Connected(g.LAN, local, netip.AddrPortFrom(to, box.ServedPort))
			_, err := socket.Write([]byte("x"))
			if err = errors.Join(err, socket.Close()); err != nil {
				t.Fatal(err)
			}
		}
		for i, to := range g.servers() {
			own := []netip.Addr{g.LAN4, g.LAN6}[i]
			box.Eventually(t, box.EventualTimeout, fmt.Sprintf("connection tracking has the stream to %s, untranslated", to), func() bool {
				all := g.Gateway.Run("conntrack", "-L", "-f", map[bool]string{true: "ipv4", false: "ipv6"}[to.Is4()], "-p", "udp", "--orig-src", own.String(), "--reply-dst", own.String())
				return strings.Contains(all, "sport=5000")
			})
		}
		g.Apply()
		for i, to := range g.servers() {
			q := box.NewRequest(world.KindUDP, to)
			q.From, q.Timeout = netip.AddrPortFrom([]netip.Addr{g.LAN4, g.LAN6}[i], 5000), 20*time.Second
			if a := g.LAN.Send(q); !a.OK || g.uplinkOf(a.Peer.Addr()) != 0 {
				t.Errorf("the stream to %s after the repair: %v", to, a)
			}
		}
		g.wantNoForeign(t)
	})
}
