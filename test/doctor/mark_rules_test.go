package doctor

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// divert are rules before ours that send what has a mark by the first uplink.
const divert = "for f in -4 -6; do ip $f rule add fwmark 0x10000/0x10000 lookup 100 priority 100; done; ip route add default via 198.51.100.1 table 100; ip -6 route add default via fe80::1 dev eth0 table 100; "

var markRuleCases = map[string]findingCase{
	"a mark in OUTPUT, and a rule before ours": {id: "mark-before-ours", severity: box.IsWarning,
		cause: divert + `iptables -t mangle -N XRAY_SELF; iptables -t mangle -A OUTPUT -j XRAY_SELF; iptables -t mangle -A XRAY_SELF -d 203.0.113.0/24 -j MARK --set-xmark 0x10000/0x10000
			ip6tables -t mangle -A OUTPUT -d 2001:db8:c::/64 -j MARK --set-xmark 0x10000/0x10000`,
		words: []string{"set a mark on packets of this host", "before those of replypath"},
		evidence: []string{"mangle XRAY_SELF: -A XRAY_SELF -d 203.0.113.0/24 -j MARK --set-xmark 0x10000/0x10000", "ip rule 100: from all fwmark 0x10000/0x10000 lookup 100",
			"mangle OUTPUT: -A OUTPUT -d 2001:db8:c::/64 -j MARK --set-xmark 0x10000/0x10000", "ip -6 rule 100: "},
		remedy: "let those firewall rules leave replies alone (ct mark & 0x1f00 == 0)",
		cure:   "for f in -4 -6; do ip $f rule del priority 100; ip $f rule add fwmark 0x10000/0x10000 lookup 100 priority 4500; done"},
	"a mark in a route chain of nft's, and a rule before ours": {id: "mark-before-ours", severity: box.IsWarning, anyBackend: true,
		cause:    divert + `nft 'table inet xray { chain out { type route hook output priority mangle; oifname lo return; ip daddr 203.0.113.0/24 meta mark set meta mark or 0x10000; ip6 daddr 2001:db8:c::/64 meta mark set meta mark or 0x10000; }; }'`,
		evidence: []string{"nft list ruleset: inet xray out: meta mark set meta mark", "ip rule 100: from all fwmark 0x10000/0x10000 lookup 100", "ip -6 rule 100: "},
		remedy:   "or give those ip rules priorities above 3999",
		cure:     "nft delete table inet xray; nft 'table inet xray { chain out { type route hook output priority mangle; oifname lo return; ct mark & 0x1f00 == 0 meta mark set meta mark or 0x10000; }; }'; for f in -4 -6; do ip $f rule del priority 100; done"},
}

func TestDoctorReportsMarksByWhichRulesBeforeOursSelect(t *testing.T) {
	t.Parallel()
	runFindingCases(t, markRuleCases)
}

// Marks that no rule before ours selects by, rules before ours for marks that nobody sets on packets of the host, and those for
// tables without a route to the Internet are nothing to report.
func TestDoctorAcceptsMarksOfOthers(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a rule behind ours":     "ip rule add fwmark 0x10000/0x10000 lookup 100 priority 4500; ip route add unreachable default table 100; iptables -t mangle -A OUTPUT -d 203.0.113.99 -j MARK --set-xmark 0x10000/0x10000",
		"another mark":           "ip rule add fwmark 0x20000/0x20000 lookup 100 priority 100; ip route add unreachable default table 100; iptables -t mangle -A OUTPUT -d 203.0.113.99 -j MARK --set-xmark 0x10000/0x10000",
		"packets of others":      "ip rule add fwmark 0x10000/0x10000 lookup 100 priority 100; ip route add unreachable default table 100; iptables -t mangle -A PREROUTING -i lan0 -d 203.0.113.99 -j MARK --set-xmark 0x10000/0x10000",
		"another family":         "ip -6 rule add fwmark 0x10000/0x10000 lookup 100 priority 100; ip -6 route add unreachable default table 100; iptables -t mangle -A OUTPUT -d 203.0.113.99 -j MARK --set-xmark 0x10000/0x10000",
		"a table without routes": "ip rule add fwmark 0x10000/0x10000 lookup 100 priority 100; iptables -t mangle -A OUTPUT -d 203.0.113.99 -j MARK --set-xmark 0x10000/0x10000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, world.TwoISPs(t))
			b.Apply()
			sh(b, script)
			if found := b.RunDoctor().Of("mark-before-ours"); len(found) > 0 {
				t.Errorf("%+v", found)
			}
		})
	}
}
