package apply

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// keepalived's use_vmac, a VLAN or a second card brings in requests by a link that is no uplink, although its address is of
// an uplink's network: they are not answered by the uplink, plan says so, and the table that it names mends it.
func TestPlanNamesTableForLinkInUplinkNetwork(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]struct{ make, prefix4, prefix6 string }{
		"a macvlan with single addresses": {"ip link add vmac0 link eth1 type macvlan mode bridge", "/32", "/128"},
		"a macvlan with the network":      {"ip link add vmac0 link eth1 type macvlan mode private", "/24", "/64"},
	} {
		t.Run(name, func(t *testing.T) {
			b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
			virtual := []netip.Addr{netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8:b::100")}
			b.Shell(link.make, "sysctl -qw net.ipv4.conf.eth1.arp_ignore=1 net.ipv4.conf.eth1.arp_announce=2 net.ipv4.conf.vmac0.rp_filter=1",
				"ip addr add 192.0.2.100"+link.prefix4+" dev vmac0", "ip addr add 2001:db8:b::100"+link.prefix6+" dev vmac0 nodad", "ip link set vmac0 up")
			box.ServeAll(b.Gateway)
			b.Apply()
			for _, to := range virtual {
				q := box.NewRequest(world.KindUDP, to)
				q.Timeout = 300 * time.Millisecond
				if a := b.Client.Send(q); a.OK {
					t.Errorf("%s is answered without the table: %v", to, a)
				}
			}
			table := regexp.MustCompile(`(\[uplinks\.vmac0\]) with (id = 3), (interface = "vmac0"), (gateway = \["192.0.2.1", "fe80::1"\])`)
			r := b.Must(0, "plan")
			found := table.FindStringSubmatch(r.Stdout + r.Stderr)
			if found == nil || strings.Count(r.Stdout+r.Stderr, "vmac0 is stacked on eth1") != 1 {
				t.Fatalf("plan does not name the table: %s", r)
			}
			text, err := os.ReadFile(b.Config)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(string(text) + strings.Join(found[1:], "\n") + "\n")
			b.Apply()
			p := b.RecordEgress()
			for _, to := range virtual {
				p.WantReplies(t, b.Client, b.Uplinks[1], to, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing, world.KindClosedTCP})
			}
			p.WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP})
			if r := b.Must(0, "plan"); strings.Contains(r.Stdout+r.Stderr, "stacked") {
				t.Errorf("plan with the table: %s", r)
			}
		})
	}
}
