package verify

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// TestVerifyAsksHostsInsideWithoutDNAT asks a host inside whose address the providers route to the gateway. What breaks its replies breaks
// none of the gateway's own.
func TestVerifyAsksHostsInsideWithoutDNAT(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		w := world.TwoISPs(t)
		b := box.New(t, w, backend)
		b.Apply()
		for _, gateway := range []string{"198.18.0.1", "2001:db8:f::1"} {
			if reply := w.LAN.Ping(netip.MustParseAddr(gateway)); !reply.OK {
				t.Fatalf("the gateway does not learn the hardware address of its LAN's host: %s", reply)
			}
		}
		trackForwarded(b, b.LAN4.String(), "203.0.113.10")
		trackForwarded(b, b.LAN6.String(), "2001:db8:c::10")
		pinNeighbours(b)
		wires, traces := uplinkWires(b), kernelTraces(b)
		v := b.Verify()
		v.WantOK(t, 2)
		for _, p := range v.Paths {
			asked := 0
			for _, q := range p.Questions {
				if q.Kind == "inside" {
					asked++
				}
			}
			if asked != 2 {
				t.Errorf("%s %s: %d questions for hosts inside: %+v", p.Uplink, p.Family, asked, p.Questions)
			}
		}
		wantNoTraces(t, b, wires, traces)
		for name, c := range map[string]struct{ plant, remove, want string }{
			"a mark of the LAN's packets is reset": {"IPT -t mangle -A PREROUTING -i lan0 -j MARK --set-mark 0", "IPT -t mangle -D PREROUTING -i lan0 -j MARK --set-mark 0", "no prerouting-mark"},
			"a rule for the LAN's link":            {"IP rule add priority 90 iif lan0 lookup 99", "IP rule del priority 90", "no rule-shadowed"},
			"a rule for the LAN's network":         {"IP rule add priority 90 from LAN lookup 99", "IP rule del priority 90", "unknown rule-shadowed"},
			"they are not tracked":                 {"IPT -t raw -A PREROUTING -i lan0 -j NOTRACK", "IPT -t raw -D PREROUTING -i lan0 -j NOTRACK", "no notrack"},
		} {
			for _, family := range []int{4, 6} {
				words := strings.NewReplacer("IPT", b.IptablesName(family), "IP", "ip "+ipOf(family), "LAN", map[int]string{4: "198.18.0.0/24", 6: "2001:db8:f::/64"}[family])
				b.Gateway.Run("ip", ipOf(family), "route", "replace", "default", "via", routerOf(b, family), "dev", "eth0", "table", "99")
				b.Shell(words.Replace(c.plant))
				p := b.Verify().Path(w.Uplinks[1], family)
				if got := p.Shown.Short(); got != c.want {
					t.Errorf("%s, IPv%d: %s, want %s", name, family, p.Shown, c.want)
				}
				b.Shell(words.Replace(c.remove))
			}
		}
		b.Verify().WantOK(t, 2)
	})
}

// trackForwarded adds a connection from a host inside to another host, which has replied.
func trackForwarded(b *box.Box, from, to string) {
	b.Gateway.Run("conntrack", "-I", "-p", "tcp", "-s", from, "-d", to, "--sport", "5000", "--dport", "443", "--state", "ESTABLISHED", "-u", "SEEN_REPLY,ASSURED", "-t", "600")
}

// TestVerifyAsksNoHostOutside adds neighbours that are no hosts inside: with a private address, on a link with a default route, more than
// are asked, and some that are not known to send packets to the Internet by this host.
func TestVerifyAsksNoHostOutside(t *testing.T) {
	t.Parallel()
	w := world.TwoISPs(t)
	b := box.New(t, w)
	b.Apply()
	b.Shell("ip addr add 10.9.0.1/24 dev lan0", "ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:99 dev lan0 nud permanent",
		"ip link add out9 type bridge; ip link set out9 up; ip addr add 198.18.9.1/24 dev out9; ip route add default via 198.18.9.9 dev out9 metric 9000",
		"ip neigh add 198.18.9.9 lladdr 02:00:00:00:00:99 dev out9 nud permanent")
	for i := range 6 {
		b.Shell(fmt.Sprintf("ip neigh add 198.18.0.%d lladdr 02:00:00:00:00:99 dev lan0 nud permanent", 50+i))
	}
	wires := []*world.Recorder{b.LANLink.Record(), b.Gateway.Link("out9").Record()}
	asked := func() map[netip.Addr]bool {
		hosts := map[netip.Addr]bool{}
		b.Verify()
		b.Settle()
		for _, wire := range wires {
			for _, p := range wire.Packets() {
				if p.Proto == unix.IPPROTO_TCP {
					hosts[p.Dst] = true
				}
			}
		}
		return hosts
	}
	trackForwarded(b, "198.18.0.50", "198.18.0.51") // both inside
	trackForwarded(b, "198.18.0.51", "198.18.0.1")  // to this host
	if got := asked(); len(got) > 0 {
		t.Errorf("hosts that do not send packets to the Internet are asked: %v", got)
	}
	trackForwarded(b, "10.9.0.9", "203.0.113.10")
	trackForwarded(b, "198.18.9.9", "203.0.113.10")
	for i := range 4 {
		trackForwarded(b, fmt.Sprintf("198.18.0.%d", 52+i), "203.0.113.10")
	}
	if got := asked(); len(got) != 2 || !got[netip.MustParseAddr("198.18.0.52")] || !got[netip.MustParseAddr("198.18.0.53")] {
		t.Errorf("%v are asked", got)
	}
}
