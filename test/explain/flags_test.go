package explain

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// inRouteGet are explain's flags as ip-route(8) has them behind "get".
var inRouteGet = map[string]string{"--proto": "ipproto", "--sport": "sport", "--dport": "dport", "--uid": "uid", "--mark": "mark", "--tos": "tos",
	"--in": "iif", "--from": "from", "--out": "oif"}

// leavesBy returns the egress link of ip route get; empty: the packet is refused.
func leavesBy(t *testing.T, b *box.Box, family int, to string, args []string) string {
	t.Helper()
	words := []string{fmt.Sprintf("-%d", family), "route", "get", to}
	for i := 0; i < len(args); i += 2 {
		words = append(words, inRouteGet[args[i]], args[i+1])
	}
	out, err := b.Gateway.Command(t.Context(), "ip", words...).CombinedOutput()
	m := regexp.MustCompile(` dev (\S+)`).FindStringSubmatch(string(out))
	switch {
	case err != nil && strings.Contains(string(out), "RTNETLINK answers: "):
		return ""
	case err != nil || m == nil:
		t.Fatalf("ip %s: %v %s", strings.Join(words, " "), err, out)
	}
	return m[1]
}

// routeGetFlags returns the flags with the protocol name of the family, as ip route get requires it.
func routeGetFlags(family int, flags string) []string {
	if family == 6 {
		flags = strings.Replace(flags, "icmp", "ipv6-icmp", 1)
	}
	return strings.Fields(flags)
}

// Each flag alone selects the egress link, by a rule with its selector, and ip route get agrees.
func TestExplainCoversEveryRuleSelector(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Apply()
	for family, to := range defaultRoutedAddr {
		own := func(i int) string { return b.Uplinks[i].Addrs()[family/6].String() }
		inside := map[int]string{4: b.LAN4.String(), 6: b.LAN6.String()}[family]
		beyond := map[int]string{4: b.Client4.String(), 6: b.Client6.String()}[family]
		routers := map[int]string{4: b.Uplinks[1].Router4.String(), 6: "fe80::1 dev eth1"}
		ip := func(args ...string) { b.Gateway.Run("ip", append([]string{fmt.Sprintf("-%d", family)}, args...)...) }
		ip(append([]string{"route", "add", "default", "table", "77", "via"}, strings.Fields(routers[family])...)...)
		ip("route", "add", "unreachable", "default", "table", "78")
		for _, c := range []struct {
			rule      string
			hit, miss string
			by, other string // links; empty: it is refused
		}{
			{"ipproto tcp lookup 77", "--proto tcp", "--proto udp", "eth1", "eth0"},
			{"ipproto icmp lookup 77", "--proto icmp", "--proto tcp", "eth1", "eth0"},
			{"ipproto udp sport 5000-5010 lookup 77", "--proto udp --sport 5010", "--proto udp --sport 5011", "eth1", "eth0"},
			{"ipproto tcp dport 443 lookup 77", "--proto tcp --dport 443", "--proto tcp --dport 444", "eth1", "eth0"},
			{"ipproto tcp dport 443 lookup 77", "--proto tcp --dport 443", "--proto udp --dport 443", "eth1", "eth0"},
			{"uidrange 1000-1001 lookup 77", "--uid 1001", "--uid 1002", "eth1", "eth0"},
			{"uidrange 1000-1001 lookup 77", "--uid 1000", "--uid 999", "eth1", "eth0"},
			{"fwmark 0x4000/0x4000 lookup 77", "--mark 0x14000", "--mark 0x8000", "eth1", "eth0"},
			{"tos 0x10 lookup 77", "--tos 0x10", "--tos 0x20", "eth1", "eth0"},
			{"iif lan0 lookup 77", "--in lan0 --from " + inside, "--in eth0 --from " + beyond, "eth1", "eth0"},
			{"from " + own(0) + " lookup 77", "--from " + own(0), "--from " + map[int]string{4: "198.18.0.1", 6: "2001:db8:f::1"}[family], "eth1", "eth0"},
			{"oif eth1 lookup 77", "--out eth1", "--out eth0", "eth1", "eth0"},
			{"dport 53 lookup 78", "--dport 53", "--dport 54", "", "eth0"},
		} {
			if family == 6 {
				c.rule = strings.Replace(c.rule, "ipproto icmp", "ipproto ipv6-icmp", 1)
			}
			rule := append([]string{"rule", "add", "priority", "1000"}, strings.Fields(c.rule)...)
			ip(rule...)
			for flags, want := range map[string]string{c.hit: c.by, c.miss: c.other} {
				args := strings.Fields(flags)
				status, words := 0, fmt.Sprintf("it leaves by %s (uplink isp%s)", want, strings.TrimPrefix(want, "eth"))
				if want == "" {
					status, words = 3, "it is rejected"
				}
				if got := leavesBy(t, b, family, to, routeGetFlags(family, flags)); got != want {
					t.Errorf("%s: the kernel sends %s by %q, want %q", c.rule, flags, got, want)
				}
				decided := "> 1000 unknown "
				if flags == c.miss {
					decided = "\n1000 unknown "
				}
				b.Explain(t, status, append([]string{to}, args...), words, "kernel: agrees", decided)
			}
			ip("rule", "del", "priority", "1000")
		}
	}
}
