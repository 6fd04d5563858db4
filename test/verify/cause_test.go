package verify

import (
	"fmt"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// verifyCase is one fault, and what verify must report of the second uplink in that family.
type verifyCase struct {
	damage              func(b *box.Box, family int)
	only                int      // the family; 0: both
	routes, trace       string   // result and cause, as finding prints them without the reason
	kind                string   // of the request with the same result; empty: the echo
	reason              []string // words in the reason of asked or shown
	firstUplinkUnharmed bool     // the first uplink is as right as before
}

func ipOf(family int) string { return fmt.Sprintf("-%d", family) }

// coveringPrefixes returns prefixes that together cover all clients, and are no default routes.
func coveringPrefixes(family int) []string {
	if family == 4 {
		return []string{"192.0.0.0/8", "198.0.0.0/8", "203.0.0.0/8"}
	}
	return []string{"2000::/8"}
}

// routerOf returns the gateway of the first uplink.
func routerOf(b *box.Box, family int) string {
	if family == 4 {
		return b.Uplinks[0].Router4.String()
	}
	return b.Uplinks[0].RouterLL.String()
}

var verifyCases = map[string]verifyCase{
	"the mark is not saved": {
		damage: func(b *box.Box, family int) {
			b.HarmChains(family, "delete element TABLE FAM-in-map { eth1 }", "-D REPLYPATH-NEW -i eth1 -j CONNMARK --set-xmark 0x200/0x1f00")
		},
		// The rule for the address selects the replies of the host.
		routes: "yes", trace: "yes mark-not-saved", reason: []string{"0x200", "no mark", "lookup 8202, added by replypath"}, firstUplinkUnharmed: true,
	},
	"another's mark is saved": {
		damage: func(b *box.Box, family int) {
			b.HarmChains(family, "delete element TABLE FAM-in-map { eth1 }; add element TABLE FAM-in-map { eth1 : goto FAM-in1 }",
				"-I REPLYPATH-NEW 1 -i eth1 -j CONNMARK --set-xmark 0x100/0x1f00", "-D REPLYPATH-NEW -i eth1 -j CONNMARK --set-xmark 0x200/0x1f00")
		},
		routes: "yes", trace: "no mark-not-saved", reason: []string{"0x200", "0x100"}, firstUplinkUnharmed: true,
	},
	"the mark is not restored in PREROUTING": {
		damage: func(b *box.Box, family int) {
			b.HarmChains(family, "flush chain TABLE FAM-in2; add rule TABLE FAM-in2 ct mark set ct mark & 0xffffe0ff | 0x200; flush chain TABLE FAM-restore2",
				"-D REPLYPATH-PRE 2")
		},
		routes: "yes", trace: "yes mark-not-restored", reason: []string{"PREROUTING", "leaves by eth1"},
	},
	"the mark is not restored in OUTPUT": {
		damage: func(b *box.Box, family int) {
			b.HarmChains(family, "flush chain TABLE FAM-out", "-F REPLYPATH-OUT")
		},
		routes: "yes", trace: "yes mark-not-restored", kind: "datagram", reason: []string{"OUTPUT", "leaves by eth1"},
	},
	"the rule for the mark is gone": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "rule", "del", "fwmark", "0x200/0x1f00", "lookup", "8202")
		},
		routes: "no rule-missing", trace: "yes", reason: []string{"fwmark 0x200/0x1f00 lookup 8202", "leaves by eth0"}, firstUplinkUnharmed: true,
	},
	"the rule for the address is gone": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "rule", "del", "from", b.Uplinks[1].Addrs()[family/6].String(), "lookup", "8202")
		},
		routes: "no rule-missing", trace: "yes", reason: []string{"from", "lookup 8202"}, firstUplinkUnharmed: true,
	},
	"another's rule comes first": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "route", "add", "default", "via", "fe80::1", "dev", "eth0", "table", "77")
			b.Gateway.Run("ip", ipOf(family), "rule", "add", "priority", "100", "lookup", "77", "protocol", "99")
		},
		only: 6, routes: "no rule-shadowed", trace: "no rule-shadowed", reason: []string{"priority 100 from all lookup 77", "protocol 99", "eth0"}, firstUplinkUnharmed: true,
	},
	"another's rule for marks comes first": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", "route", "add", "default", "via", "198.51.100.1", "dev", "eth0", "table", "77")
			b.Gateway.Run("ip", "rule", "add", "priority", "90", "fwmark", "0x200/0x200", "lookup", "77")
			b.Gateway.Run("ip", "rule", "add", "priority", "80", "fwmark", "0x800/0x800", "lookup", "77")
		},
		only: 4, routes: "no rule-shadowed", trace: "no rule-shadowed", reason: []string{"priority 90 from all fwmark 0x200/0x200 lookup 77", "owner unknown (protocol 0)"}, firstUplinkUnharmed: true,
	},
	"a VPN takes all but some networks": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", "link", "add", "tun0", "type", "bridge")
			b.Gateway.Run("ip", "link", "set", "tun0", "up")
			for _, part := range coveringPrefixes(family) {
				b.Gateway.Run("ip", ipOf(family), "route", "add", part, "dev", "tun0")
			}
		},
		routes: "no rule-shadowed", trace: "no rule-shadowed", reason: []string{"main has a specific route", "tun0", "not an uplink"},
	},
	"the way out is gone": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "route", "del", "default", "dev", "eth1", "table", "8202")
		},
		routes: "no route-missing", trace: "no route-missing", reason: []string{"table 8202", "rejects"}, firstUplinkUnharmed: true,
	},
	"the table is empty": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "route", "flush", "table", "8202")
			if family == 6 { // which flush does not count as of this table
				b.Gateway.Run("ip", "-6", "route", "del", "unreachable", "default", "table", "8202")
			}
		},
		routes: "no route-missing", trace: "no route-missing", reason: []string{"table 8202", "leaves by eth0"}, firstUplinkUnharmed: true,
	},
	"the way out leads to another gateway": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "route", "replace", "default", "via", "fe80::99", "dev", "eth1", "table", "8202", "metric", "1024")
		},
		only: 6, routes: "no route-missing", trace: "no route-missing", reason: []string{"fe80::99"}, firstUplinkUnharmed: true,
	},
	"the source check drops questions": {
		damage: func(b *box.Box, _ int) {
			b.Gateway.SetSysctl("net.ipv4.conf.eth1.src_valid_mark", "0")
			b.Gateway.SetSysctl("net.ipv4.conf.eth1.rp_filter", "1")
		},
		// Requests to the host itself are saved by the rule for the address, and it forwards none.
		only: 4, routes: "yes source-check", trace: "yes", firstUplinkUnharmed: true,
		reason: []string{"net.ipv4.conf.eth1.rp_filter = 1", "net.ipv4.conf.all.rp_filter = 0", "net.ipv4.conf.eth1.src_valid_mark = 0"},
	},
	"another's rule for a port comes first": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "route", "add", "default", "via", routerOf(b, family), "dev", "eth0", "table", "77")
			b.Gateway.Run("ip", ipOf(family), "rule", "add", "priority", "90", "ipproto", "tcp", "sport", served, "lookup", "77")
		},
		routes: "yes", trace: "no rule-shadowed", kind: "listener", firstUplinkUnharmed: true,
		reason: []string{"priority 90 from all ipproto tcp sport " + served + " lookup 77, owner unknown (protocol 0)", "leave by eth0"},
	},
	"another's rule for a user comes first": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", ipOf(family), "route", "add", "default", "via", routerOf(b, family), "dev", "eth0", "table", "77")
			b.Gateway.Run("ip", ipOf(family), "rule", "add", "priority", "90", "uidrange", "0-0", "lookup", "77")
		},
		routes: "no rule-shadowed", trace: "no rule-shadowed", firstUplinkUnharmed: true, reason: []string{"priority 90 from all uidrange 0-0 lookup 77"},
	},
	"a route of another program in the uplink's table": {
		damage: func(b *box.Box, family int) {
			for _, part := range coveringPrefixes(family) {
				b.Gateway.Run("ip", ipOf(family), "route", "add", "blackhole", part, "table", "8202")
			}
		},
		routes: "no route-shadowed", trace: "no route-shadowed", firstUplinkUnharmed: true, reason: []string{"blackhole", "protocol boot", "is not sent"},
	},
	"another's mark in OUTPUT, and a rule for it": {
		damage: func(b *box.Box, family int) {
			b.Shell("nft 'table inet xray { chain out { type route hook output priority mangle; meta l4proto { tcp, udp } meta mark set meta mark or 0x10000; }; }'")
			b.Gateway.Run("ip", ipOf(family), "route", "add", "local", "default", "dev", "lo", "table", "77")
			b.Gateway.Run("ip", ipOf(family), "rule", "add", "priority", "90", "fwmark", "0x10000/0x10000", "lookup", "77")
		},
		routes: "yes", trace: "no output-mark", kind: "listener",
		reason: []string{"priority 90 from all fwmark 0x10000/0x10000 lookup 77", "inet xray out: meta l4proto", "leave by lo"},
	},
	"the firewall drops questions in INPUT": {
		damage: func(b *box.Box, family int) { b.Iptables(family, "-A", "INPUT", "-i", "eth1", "-j", "DROP") },
		routes: "yes", trace: "unknown firewall", reason: []string{"INPUT"}, firstUplinkUnharmed: true,
	},
	"the firewall drops questions in raw": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "raw", "-A", "PREROUTING", "-i", "eth1", "-j", "DROP")
		},
		routes: "yes", trace: "unknown firewall", reason: []string{"PREROUTING"}, firstUplinkUnharmed: true,
	},
	"the firewall drops answers in OUTPUT": {
		damage: func(b *box.Box, family int) { b.Iptables(family, "-A", "OUTPUT", "-o", "eth1", "-j", "DROP") },
		routes: "yes", trace: "unknown firewall", reason: []string{"OUTPUT"}, firstUplinkUnharmed: true,
	},
	"echo requests are ignored": {
		damage: func(b *box.Box, family int) { b.Gateway.SetSysctl(echoIgnored[family], "1") },
		// The other requests show the path.
		routes: "yes", trace: "yes", kind: "echo",
	},
	"the link is down": {
		damage: func(b *box.Box, _ int) { b.Uplinks[1].Link.Down() },
		routes: "unknown not-shown", trace: "unknown not-shown", reason: []string{"eth1 is down"}, firstUplinkUnharmed: true,
	},
}

var echoIgnored = map[int]string{4: "net.ipv4.icmp_echo_ignore_all", 6: "net.ipv6.icmp.echo_ignore_all"}

func TestVerifyNamesTheCause(t *testing.T) {
	t.Parallel()
	testVerifyCases(t, verifyCases)
}

// testVerifyCases makes each fault in a world of its own, in each backend and family.
func testVerifyCases(t *testing.T, cases map[string]verifyCase) {
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for name, c := range cases {
			for _, family := range []int{4, 6} {
				if c.only != 0 && c.only != family {
					continue
				}
				t.Run(fmt.Sprintf("%s in IPv%d", name, family), func(t *testing.T) {
					t.Parallel()
					b := box.New(t, world.TwoISPs(t), backend)
					b.Gateway.ServeTCP(box.ServedPort)
					b.Apply()
					c.damage(b, family)
					c.check(t, b.Verify(), b, family)
				})
			}
		}
	})
}

// check wants the verdict, and no other where nothing is broken.
func (c verifyCase) check(t *testing.T, v box.VerifyReport, b *box.Box, family int) {
	t.Helper()
	p := v.Path(b.Uplinks[1], family)
	if got := p.Asked.Short(); got != c.routes {
		t.Errorf("asked %q, want %q: %s", got, c.routes, p.Asked)
	}
	if got := p.Shown.Short(); got != c.trace {
		t.Errorf("shown %q, want %q: %s", got, c.trace, p.Shown)
	}
	if q := p.Question("echo"); c.kind == "echo" && (q.Result != "unknown" || q.Cause != "no-answer" || !strings.Contains(q.Why, echoIgnored[family])) {
		t.Errorf("the echo: %s", q.VerifyResult)
	}
	if q := p.Question(c.kind); c.kind != "" && c.kind != "echo" && q.Short() != c.trace {
		t.Errorf("the %s: %s", c.kind, q.VerifyResult)
	}
	for _, words := range c.reason {
		if !strings.Contains(p.Asked.Why+p.Shown.Why, words) {
			t.Errorf("no reason says %q: asked %s, shown %s", words, p.Asked, p.Shown)
		}
	}
	for _, f := range []box.VerifyResult{p.Asked, p.Shown} {
		if f.Result != "yes" && (f.Why == "" || f.Remedy == "") {
			t.Errorf("%s without reason or remedy: %+v", f.Result, f)
		}
	}
	if c.firstUplinkUnharmed {
		v.Path(b.Uplinks[0], family).WantOK(t)
	}
	other := 10 - family
	if c.only == 0 && !strings.Contains(strings.Join(c.reason, " "), "is down") {
		v.Path(b.Uplinks[0], other).WantOK(t)
		v.Path(b.Uplinks[1], other).WantOK(t)
	}
}
