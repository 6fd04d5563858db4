package outbound

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// With prefixes = "auto" what is sent from a network that a provider delegates takes that provider, without address translation:
// as long as a route shows the network, by a route that refuses its rest or by a default route of its own.
func TestDelegatedPrefixesTakeTheirProvider(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		g := newGateway(t, backend)
		delegate := func(u *world.Uplink, network, address string) {
			g.Delegate(u, netip.MustParsePrefix(network))
			g.Gateway.Run("ip", "-6", "addr", "add", address+"1/64", "dev", "lan0", "nodad")
			g.LAN.Run("ip", "-6", "addr", "add", address+"2/64", "dev", "eth0", "nodad")
		}
		delegate(g.Uplinks[0], "2001:db8:a:f100::/56", "2001:db8:a:f101::")
		delegate(g.Uplinks[1], "2001:db8:f200::/48", "2001:db8:f200:1::")
		delegate(g.Uplinks[0], "2001:db8:f300::/48", "2001:db8:f300:1::")
		refuse := []string{"ip", "-6", "route", "add", "unreachable", "2001:db8:a:f100::/56", "dev", "lo", "proto", "dhcp", "metric", "1024"}
		own := func(u *world.Uplink, network string) []string {
			return []string{"ip", "-6", "route", "add", "default", "from", network, "via", u.Router6.String(), "dev", u.Link.Name, "metric", "512", "proto", "dhcp"}
		}
		g.Gateway.Run(refuse[0], refuse[1:]...)
		first := own(g.Uplinks[1], "2001:db8:f200::/48")
		g.Gateway.Run(first[0], first[1:]...)
		g.uplinkKeys[0], g.uplinkKeys[1] = "prefixes = \"auto\"\n", "prefixes = [\"auto\"]\n"
		g.outbound(`default = "all"`, `masquerade = "both"`, "[outbound.policies.all]", `tiers = [["isp0", "isp1"]]`)
		s := g.Start()
		g.AwaitInSync()
		g.wantUntranslated(t, "2001:db8:a:f101::2", "2001:db8:f200:1::2")
		want := "isp0: prefixes = \"auto\": 2001:db8:a:f100::/56\nisp1: prefixes = \"auto\": 2001:db8:f200::/48\n"
		r := g.Must(0, "check")
		if !strings.Contains(r.Stdout, want) || !strings.Contains(r.Stderr, "2001:db8:f300:1::/64 is of no uplink with prefixes") {
			t.Errorf("check: %s", r)
		}
		if r := g.Must(0, "check", "--json"); !strings.Contains(r.Stdout, `"auto_prefixes"`) {
			t.Errorf("check --json: %s", r)
		}

		third := own(g.Uplinks[0], "2001:db8:f300::/48")
		g.Gateway.Run(third[0], third[1:]...)
		box.Eventually(t, box.EventualTimeout, "the new network has a rule", func() bool {
			return strings.Contains(g.Gateway.Run("ip", "-6", "rule"), "from 2001:db8:f300::/48 lookup 8201")
		})
		g.AwaitInSync()
		g.wantUntranslated(t, "2001:db8:a:f101::2", "2001:db8:f200:1::2", "2001:db8:f300:1::2")
		third[3] = "del"
		g.Gateway.Run(third[0], third[1:]...)
		refuse[3] = "del"
		g.Gateway.Run(refuse[0], refuse[1:]...)
		box.Eventually(t, box.EventualTimeout, "the networks have no rule", func() bool {
			rules := g.Gateway.Run("ip", "-6", "rule")
			return !strings.Contains(rules, "2001:db8:f300::/48") && strings.Contains(rules, "from 2001:db8:a:f101::/64 lookup 8201")
		})
		g.wantUntranslated(t, "2001:db8:a:f101::2") // the network of lan0
		g.wantNoForeign(t)
		s.Stop()
	})
}

// wantUntranslated wants that connections from these addresses are answered, and that the server sees the addresses.
func (g *gateway) wantUntranslated(t *testing.T, all ...string) {
	t.Helper()
	for _, text := range all {
		from := netip.MustParseAddr(text)
		for range 8 {
			q := box.NewRequest(world.KindTCP, g.Client6)
			q.From, q.Timeout = netip.AddrPortFrom(from, 0), 20*time.Second
			if a := g.LAN.Send(q); !a.OK || a.Peer.Addr() != from {
				t.Fatalf("from %s: %v", from, a)
			}
		}
	}
}
