package reply

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Packets without a mark that the host does not send from an uplink's address meet the operator's rules as they did before
// apply, wherever those rules stand outside replypath's block. The kernel is asked by random rules and random look-ups.
func TestUnmarkedTrafficMeetsForeignRulesAsBefore(t *testing.T) {
	const seed = 16
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	b := box.New(t, box.Conditions{}.Build(t, 2, world.Options{}))
	for range 12 {
		undo := addForeignRules(b, r)
		lookups := foreignLookups(b, r)
		before := routeGet(b, lookups)
		b.Apply()
		for i, after := range routeGet(b, lookups) {
			if after != before[i] {
				t.Errorf("ip route get %s was\n%s\nand is\n%s\namong\n%s", lookups[i], before[i], after, b.Gateway.Run("ip", "rule")+b.Gateway.Run("ip", "-6", "rule"))
			}
		}
		b.Must(0, "flush")
		b.Shell(undo...)
	}
}

// addForeignRules adds rules and tables of an operator's in both families, and returns the commands that delete them.
func addForeignRules(b *box.Box, r *rand.Rand) (undo []string) {
	one := func(choices ...string) string { return choices[r.IntN(len(choices))] }
	for _, family := range []int{4, 6} {
		ip, client, lan, net := fmt.Sprintf("ip -%d", family), b.Client4.String(), b.LAN4.String(), "198.18.0.0/24"
		if family == 6 {
			client, lan, net = b.Client6.String(), b.LAN6.String(), "2001:db8:f::/64"
		}
		for table := 50; table < 53; table++ {
			b.Shell(fmt.Sprintf("%s route add %s dev %s table %d", ip, one("default", client), one("eth0", "eth1", "lan0"), table))
			b.Shell(fmt.Sprintf("%s route add %s %s table %d", ip, one("unreachable", "prohibit", "blackhole"), one(net, lan), table))
			undo = append(undo, fmt.Sprintf("%s route flush table %d", ip, table))
		}
		for n := range 5 {
			selector := one("iif lan0", "iif lo", "to "+client, "to "+net, "from "+net, "fwmark 0x10000/0xff0000", "fwmark 0/0xff0000", "ipproto tcp dport 443", "uidrange 1000-1000", "")
			// Outside of replypath's own block, 2000 to 3999: before it, behind it, and right before main's rule.
			priority := []int{1 + r.IntN(1999), 4000 + r.IntN(28000), 32700 + n}[r.IntN(3)]
			action := one("lookup 50", "lookup 51", "lookup 52", "unreachable", "lookup main suppress_prefixlength 0")
			rule := strings.Join(strings.Fields(fmt.Sprintf("priority %d %s %s", priority, selector, action)), " ")
			b.Shell(ip + " rule add " + rule)
			undo = append(undo, ip+" rule del "+rule)
		}
	}
	return undo
}

// foreignLookups returns arguments of ip route get: forwarded packets from the LAN, and the host's own without a source or
// from an address that is no uplink's. They have no mark of replypath's.
func foreignLookups(b *box.Box, r *rand.Rand) (all []string) {
	for _, family := range []int{4, 6} {
		to := []string{b.Client4.String(), b.LAN4.String(), "203.0.113.77", "198.51.100.77", "192.0.2.77"}
		lan, own := b.LAN4, netip.MustParseAddr("198.18.0.1")
		if family == 6 {
			to = []string{b.Client6.String(), b.LAN6.String(), "2001:db8:c::77", "2001:db8:a::77", "2001:db8:b::77"}
			lan, own = b.LAN6, netip.MustParseAddr("2001:db8:f::1")
		}
		for _, to := range to {
			for _, from := range []string{"", fmt.Sprintf(" from %s iif lan0", lan), fmt.Sprintf(" from %s", own)} {
				for _, rest := range []string{"", " mark 0x20000", " mark 0x10000 ipproto tcp dport 443", " uid 1000"} {
					all = append(all, to+from+rest)
				}
			}
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:40]
}

// routeGet returns what ip(8) says of each look-up: the route, or the kernel's refusal.
func routeGet(b *box.Box, lookups []string) (all []string) {
	for _, l := range lookups {
		said, err := b.Gateway.Command(b.T.Context(), "ip", append([]string{"route", "get"}, strings.Fields(l)...)...).CombinedOutput()
		words := strings.Fields(string(said))
		// The time until a cached route expires differs from look-up to look-up.
		if at := slices.Index(words, "expires"); at >= 0 {
			words = slices.Delete(words, at, at+2)
		}
		all = append(all, fmt.Sprint(strings.Join(words, " "), " ", err))
	}
	return all
}

// A network segment is kept from the LAN by the operator's own rule, which the kernel puts right before that of main.
func TestForeignRuleKeepsASegmentFromTheLAN(t *testing.T) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
		segment := b.World.Host("gu")
		inside, outside := b.Join(b.Gateway, "gu0", segment, "eth0")
		for i, address := range []string{"198.18.5.1/24", "2001:db8:5::1/64"} {
			inside.Addr(address)
			outside.Addr([]string{"198.18.5.2/24", "2001:db8:5::2/64"}[i])
		}
		box.ServeAll(b.Client)
		box.ServeAll(b.LAN)
		for family, lines := range map[int][]string{
			4: {"ip route add default via 198.51.100.1 dev eth0 table 50", "ip route add unreachable 198.18.0.0/24 table 50"},
			6: {"ip -6 route add default via 2001:db8:a::1 dev eth0 table 50", "ip -6 route add unreachable 2001:db8:f::/64 table 50"},
		} {
			b.Shell(append(lines, fmt.Sprintf("ip -%d rule add iif gu0 lookup 50", family))...)
			b.Iptables(family, "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE")
		}
		segment.Run("ip", "route", "add", "default", "via", "198.18.5.1")
		segment.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:5::1")
		kept := func(when string) {
			t.Helper()
			for i, client := range []netip.Addr{b.Client4, b.Client6} {
				if a := segment.Send(box.NewRequest(world.KindTCP, client)); !a.OK {
					t.Errorf("%s: the segment does not reach the Internet: %v", when, a)
				}
				q := box.NewRequest(world.KindPing, []netip.Addr{b.LAN4, b.LAN6}[i])
				q.ExpectTimeout = true
				if a := segment.Send(q); a.OK {
					t.Errorf("%s: the segment reaches the LAN", when)
				}
			}
		}
		kept("before")
		b.Apply()
		kept("after")
	})
}
