package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// An address inside to which a rule of the operator translates passes the filters from the first packet on if prefixes have it. Else the
// first packet of a connection, which has no mark yet, is taken for one that nothing has translated, and doctor says what to do.
func TestFiltersPassAddressesInsideOfPrefixes(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		inside := []netip.Addr{netip.MustParseAddr("203.0.113.65"), netip.MustParseAddr("2001:db8:f400:1::65")}
		for i, a := range inside {
			g.Gateway.Run("ip", append([]string{"addr", "add", fmt.Sprintf("%s/%d", a, []int{28, 64}[i]), "dev", "lan0"}, []string{"nodad"}[:i]...)...)
			g.Iptables(box.FamilyOf(a), "-w", "-t", "nat", "-A", "POSTROUTING", "-o", g.Uplinks[0].Link.Name, "-j", "SNAT", "--to-source", a.String())
		}
		for _, c := range []struct {
			prefixes string
			packets  int // of two that leave
		}{{"", 1}, {"prefixes = [\"203.0.113.64/28\", \"2001:db8:f400:1::/64\"]\n", 2}} {
			g.uplinkKeys[0] = c.prefixes
			g.outbound(balanced(`[["isp0"], ["isp1"]]`)...)
			g.Apply()
			finding := g.RunDoctor().Of("doubled-nat")
			if has := len(finding) > 0 && strings.Contains(finding[0].Remedy, "in the uplink's prefixes"); has != (c.packets == 1) {
				t.Errorf("prefixes %q: doctor reports %v", c.prefixes, finding)
			}
			for i, to := range g.servers() {
				g.refused[0].Reset()
				socket := g.Connected(g.LAN, netip.AddrPortFrom([]netip.Addr{g.LAN4, g.LAN6}[i], 0), netip.AddrPortFrom(to, box.ServedPort))
				g.sendTwo(t, socket)
				n := g.refused[0].Count(func(p world.Packet) bool { return p.Src == inside[i] && p.To(to) })
				if err := socket.Close(); err != nil || n != c.packets {
					t.Errorf("prefixes %q: %d of 2 packets from %s to %s leave, want %d (%v)", c.prefixes, n, inside[i], to, c.packets, err)
				}
			}
		}
	})
}

// A rule of the operator that accepts packets as they are does not exempt them: the backup translates them.
func TestBackupTranslatesWhatTheOperatorExempts(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		g.Apply()
		for _, family := range []int{4, 6} {
			g.Iptables(family, "-w", "-t", "nat", "-I", "POSTROUTING", "-j", "ACCEPT")
		}
		for _, to := range g.servers() {
			if share := g.send(t, g.LAN, world.KindUDP, to, 3); share[0] != 3 {
				t.Errorf("to %s: %v by each uplink", to, share)
			}
		}
		g.wantNoForeign(t)
	})
}

// What a rule of the operator translates to its own source leaves as it is, from the first packet on where that gets a mark too, and what
// goes elsewhere is translated.
func TestRulesThatTranslateToTheSourceExempt(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend, balanced(`[["isp0"], ["isp1"]]`)...)
		g.Apply()
		for i, network := range []string{"198.18.0.0/24", "2001:db8:f::/64"} {
			to, lan := g.servers()[i], []netip.Addr{g.LAN4, g.LAN6}[i]
			if backend == box.Nftables {
				ip := []string{"ip", "ip6"}[i]
				g.Gateway.Run("nft", fmt.Sprintf("add table %s exempt; add chain %[1]s exempt post { type nat hook postrouting priority srcnat; }; "+
					"add rule %[1]s exempt post %[1]s saddr %[2]s %[1]s daddr %[3]s udp dport %[4]d meta mark set meta mark or 0x10000 snat to %[1]s saddr", ip, network, to, box.ServedPort))
			} else {
				for _, target := range []string{"NETMAP --to " + network, "MARK --set-xmark 0x10000/0x10000"} {
					g.Iptables([]int{4, 6}[i], append(strings.Fields(fmt.Sprintf("-w -t nat -I POSTROUTING -p udp -s %s -d %s --dport %d -j", network, to, box.ServedPort)), strings.Fields(target)...)...)
				}
			}
			g.refused[0].Reset()
			socket := g.Connected(g.LAN, netip.AddrPortFrom(lan, 0), netip.AddrPortFrom(to, box.ServedPort))
			g.sendTwo(t, socket)
			n := g.refused[0].Count(func(p world.Packet) bool { return p.Src == lan && p.To(to) && p.DstPort == box.ServedPort })
			if err := socket.Close(); err != nil || n != 2 {
				t.Errorf("%d of 2 packets from %s to %s leave with their source (%v)", n, lan, to, err)
			}
			if share := g.send(t, g.LAN, world.KindTCP, to, 1); share[0] != 1 {
				t.Errorf("TCP to %s: %v by each uplink", to, share)
			}
		}
	})
}

// sendTwo sends two datagrams, and waits until they are where they go.
func (g *gateway) sendTwo(t *testing.T, socket *net.UDPConn) {
	t.Helper()
	for range 2 {
		if _, err := socket.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		g.Settle()
	}
}
