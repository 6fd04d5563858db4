package outbound

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// selectorRules are rules that each select by something else, and use the second uplink, but for the last one.
var selectorRules = []string{
	"[outbound.rules.to]", `to = ["203.0.113.66", "2001:db8:c::66"]`, `use = "isp1"`,
	"[outbound.rules.source-port]", `ipproto = "udp"`, `sport = "40010-40012"`, `use = "isp1"`,
	"[outbound.rules.tos]", `dsfield = "0x08"`, `use = "isp1"`,
	"[outbound.rules.mark]", `fwmark = "0x10000/0xff0000"`, `use = "isp1"`,
	"[outbound.rules.tunnel]", "tun_id = 77", `use = "prohibit"`,
	"[outbound.rules.vrf]", "l3mdev = true", `use = "prohibit"`,
	"[outbound.rules.device]", `oif = "eth1"`, `use = "isp1"`,
	"[outbound.rules.others]", "not = true", `iif = "lo"`, `use = "isp1"`,
}

// Each selector of ip-rule(8) chooses what it says, and nothing else.
func TestEachSelectorChooses(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0], append([]string{`default = "isp0"`, `masquerade = "both"`}, selectorRules...)...)
	g.Apply()
	if r := g.Run("plan"); r.Status != 0 {
		t.Errorf("plan: %s", r)
	}
	for _, command := range []string{"ip -4 rule", "ip -6 rule"} {
		if rules := g.Gateway.Run("sh", "-c", command); !strings.Contains(rules, "tun_id 77") || !strings.Contains(rules, "l3mdev") {
			t.Errorf("%s:\n%s", command, rules)
		}
	}
	ask := func(from *world.Host, kind world.Kind, to netip.Addr, port uint16, uplink int, what string) {
		t.Helper()
		q := box.NewRequest(kind, to)
		q.Timeout = time.Minute
		if q.From = netip.AddrPortFrom(netip.IPv4Unspecified(), port); to.Is6() {
			q.From = netip.AddrPortFrom(netip.IPv6Unspecified(), port)
		}
		if a := from.Send(q); !a.OK || g.uplinkOf(a.Peer.Addr()) != uplink {
			t.Errorf("%s to %s: %v from %s", what, to, a, a.Peer)
		}
	}
	for _, to := range g.servers() {
		ask(g.Gateway, world.KindUDP, to, 40009, 0, "below the range")
		ask(g.Gateway, world.KindUDP, to, 40010, 1, "the first of the range")
		ask(g.Gateway, world.KindUDP, to, 40012, 1, "the last of the range")
		ask(g.Gateway, world.KindUDP, to, 40013, 0, "above the range")
		ask(g.LAN, world.KindTCP, to, 0, 1, "not of this host")
		family, tos := unix.IPPROTO_IP, unix.IP_TOS
		if to.Is6() {
			family, tos = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		for _, c := range []struct {
			what                 string
			level, option, value int
			uplink               int
		}{
			{"the field", family, tos, 0x08, 1}, {"another field", family, tos, 0x10, 0},
			{"the mark", unix.SOL_SOCKET, unix.SO_MARK, 0x010001, 1}, {"another mark", unix.SOL_SOCKET, unix.SO_MARK, 0x020001, 0},
		} {
			from := g.dialTCP(t, to, func(fd int) error { return syscall.SetsockoptInt(fd, c.level, c.option, c.value) })
			if g.uplinkOf(from) != c.uplink {
				t.Errorf("%s to %s: from %s", c.what, to, from)
			}
		}
		if from := g.peerOfDevice(t, "eth1", to); g.uplinkOf(from) != 1 {
			t.Errorf("by its device to %s: from %s", to, from)
		}
	}
	for family, to := range map[string]string{"-4": "203.0.113.66", "-6": "2001:db8:c::66"} {
		if got := g.Gateway.Run("ip", family, "route", "get", to); !strings.Contains(got, "dev eth1") {
			t.Errorf("by its destination: %s", got)
		}
	}
	g.wantNoForeign(t)
}
