package doctor

import (
	"testing"

	"replypath/test/box"
)

// Foreign firewall rules, in our backend unless noted.
var foreignFirewallCases = map[string]findingCase{
	"a MARK of kube-proxy's kind": {id: "mark-bits-firewall", severity: box.IsError,
		cause:    "for t in iptables ip6tables; do $t -t nat -N KUBE-MARK-MASQ; $t -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x1000; $t -t nat -A PREROUTING -j KUBE-MARK-MASQ; done",
		words:    []string{"firewall rules of kube-proxy", "replypath's mask 0x1f00", "packets are taken for those of another uplink or of none"},
		evidence: []string{"-save: nat KUBE-MARK-MASQ: -A KUBE-MARK-MASQ -j MARK --set-xmark 0x1000/0x1000"},
		remedy:   "set mask = 0x", setting: "mask"},
	"an unmasked mark": {id: "mark-bits-firewall", severity: box.IsError,
		cause:    "for t in iptables ip6tables; do $t -t mangle -A PREROUTING -j MARK --set-mark 0x1; done",
		evidence: []string{"-save: mangle PREROUTING: -A PREROUTING -j MARK --set-xmark 0x1/0xffffffff"},
		remedy:   "configure the other program to use other bits, with a mask (iptables: --set-xmark VALUE/MASK",
		cure:     "for t in iptables ip6tables; do $t -t mangle -D PREROUTING -j MARK --set-mark 0x1; $t -t mangle -A PREROUTING -j MARK --set-xmark 0x1/0xff; done"},
	"an unmasked mark in the other backend": {id: "mark-bits-firewall", severity: box.IsError,
		cause:    "other -t mangle -A POSTROUTING -j CONNMARK --set-mark 0x1; other6 -t mangle -A POSTROUTING -j CONNMARK --set-mark 0x1",
		evidence: []string{"mangle POSTROUTING: -A POSTROUTING -j CONNMARK --set-xmark 0x1/0xffffffff"},
		remedy:   "configure the other program to use other bits, with a mask (iptables: --set-xmark VALUE/MASK",
		cure:     "other -t mangle -D POSTROUTING -j CONNMARK --set-mark 0x1; other6 -t mangle -D POSTROUTING -j CONNMARK --set-mark 0x1"},
	"an unmasked restore of wg-quick's": {id: "mark-bits-firewall", severity: box.IsError,
		cause: `for t in iptables ip6tables; do $t -t mangle -A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --restore-mark
			$t -t mangle -I PREROUTING 2 -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --set-mark 0xca6c; done`,
		words:    []string{"firewall rules of wg-quick"},
		evidence: []string{`mangle PREROUTING: -A PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --restore-mark`},
		remedy:   "--restore-mark --nfmask MASK --ctmask MASK",
		cure: `for t in iptables ip6tables; do $t -t mangle -D PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --restore-mark
			$t -t mangle -D PREROUTING -p udp -m comment --comment "wg-quick(8) rule for wg0" -j CONNMARK --set-mark 0xca6c
			$t -t mangle -A PREROUTING -p udp -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000; done`},
	"an unmasked mark of nft's": {id: "mark-bits-firewall", severity: box.IsError,
		cause:    "nft add table inet t; nft 'add chain inet t c { type filter hook prerouting priority -140; }'; nft add rule inet t c meta mark set 0x5",
		evidence: []string{"nft list ruleset: inet t c: meta mark set 0x5"},
		remedy:   "configure the other program to use other bits",
		cure:     "nft flush chain inet t c; nft add rule inet t c meta mark set meta mark '|' 0x5"},
	"a masked mark of nft's": {id: "mark-bits-firewall", severity: box.IsError,
		cause:    "nft add table inet t; nft 'add chain inet t c { type filter hook prerouting priority -140; }'; nft add rule inet t c 'meta mark set meta mark & 0xffffefff | 0x1000'",
		evidence: []string{"inet t c: meta mark set meta mark & 0xffffefff | 0x1000"},
		remedy:   "set mask = 0x", setting: "mask"},
	"a compared mark of nft's": {id: "mark-bits-firewall", severity: box.IsWarning,
		cause:    "for f in ip ip6; do nft add table $f t; nft add chain $f t c; nft add rule $f t c 'ct mark & 0x300 == 0x200 accept'; done",
		evidence: []string{"ip t c: ct mark & 0x300 0x200", "ip6 t c: ct mark & 0x300 0x200"},
		remedy:   "set mask = 0x", setting: "mask"},
	"a mark compared whole": {id: "mark-bits-firewall", severity: box.IsNote,
		cause:    "for t in iptables ip6tables; do $t -A FORWARD -m mark --mark 0x40000 -j ACCEPT; done",
		evidence: []string{"-save: filter FORWARD: -A FORWARD -m mark --mark 0x40000 -j ACCEPT"},
		remedy:   "configure the other program to use other bits",
		cure:     "for t in iptables ip6tables; do $t -D FORWARD -m mark --mark 0x40000 -j ACCEPT; $t -A FORWARD -m mark --mark 0x40000/0xff0000 -j ACCEPT; done"},

	"a source check in raw": {id: "firewall-source-check", severity: box.IsError,
		cause:    "for t in iptables ip6tables; do $t -t raw -A PREROUTING -m rpfilter --invert -j DROP; done",
		evidence: []string{"-save: raw PREROUTING: -A PREROUTING -m rpfilter --invert -j DROP"},
		remedy:   "delete those rules and use sysctl rp_filter=1",
		cure:     "for t in iptables ip6tables; do $t -t raw -D PREROUTING -m rpfilter --invert -j DROP; done"},
	"a source check that goes by marks before there are any": {id: "firewall-source-check", severity: box.IsError,
		cause:    "for t in iptables ip6tables; do $t -t raw -A PREROUTING -m rpfilter --validmark --invert -j DROP; done",
		evidence: []string{"raw PREROUTING: -A PREROUTING -m rpfilter --validmark --invert -j DROP"},
		remedy:   "or check after replypath's chains in table mangle with --validmark",
		cure: `for t in iptables ip6tables; do $t -t raw -D PREROUTING -m rpfilter --validmark --invert -j DROP
			$t -t mangle -A PREROUTING -m rpfilter --validmark --invert -j DROP; done`},
	"a source check in the other backend": {id: "firewall-source-check", severity: box.IsError,
		cause:    "other -t raw -A PREROUTING -m rpfilter --invert -j DROP; other6 -t raw -A PREROUTING -m rpfilter --invert -j DROP",
		evidence: []string{"raw PREROUTING: -A PREROUTING -m rpfilter --invert -j DROP"},
		remedy:   "delete those rules",
		cure:     "other -t raw -D PREROUTING -m rpfilter --invert -j DROP; other6 -t raw -D PREROUTING -m rpfilter --invert -j DROP"},
	"a source check of nft's": {id: "firewall-source-check", severity: box.IsError,
		cause:    "nft add table inet t; nft 'add chain inet t c { type filter hook prerouting priority -300; }'; nft add rule inet t c fib saddr . mark . iif oif missing drop",
		evidence: []string{"nft list ruleset: inet t c: fib saddr . mark . iif"},
		remedy:   "(nft: fib saddr . mark . iif, priority above -150)",
		cure:     "nft delete table inet t; nft add table inet t; nft 'add chain inet t c { type filter hook prerouting priority -140; }'; nft add rule inet t c fib saddr . mark . iif oif missing drop"},
	"a source check of an uplink's": {id: "firewall-source-check", severity: box.IsError,
		cause:    "for t in iptables ip6tables; do $t -t raw -A PREROUTING -i eth+ -m rpfilter --invert -j DROP; done",
		evidence: []string{"raw PREROUTING: -A PREROUTING -i eth+ -m rpfilter --invert -j DROP"},
		remedy:   "delete those rules",
		cure:     "for t in iptables ip6tables; do $t -t raw -R PREROUTING 1 -i lan0 -m rpfilter --invert -j DROP; done"},

	"both backends, and the operator chooses": {id: "iptables-both", severity: box.IsWarning, anyBackend: true,
		cause:    "iptables -A INPUT -j ACCEPT; other6 -A INPUT -j ACCEPT",
		evidence: []string{"ip6tables-legacy-save: filter INPUT: -A INPUT -j ACCEPT"},
		remedy:   `or set backend = "nft" or "legacy"`, setting: "backend"},
	"both backends": {id: "iptables-both", severity: box.IsWarning, anyBackend: true,
		cause:    "iptables -A INPUT -j ACCEPT; other6 -A INPUT -j ACCEPT",
		words:    []string{"both iptables backends, nft and legacy, have rules of other programs; replypath uses "},
		evidence: []string{"filter INPUT: -A INPUT -j ACCEPT", "ip6tables-"},
		remedy:   "move all programs to one backend",
		cure:     "other6 -D INPUT -j ACCEPT; ip6tables -A INPUT -j ACCEPT"},

	"untracked": {id: "notrack", severity: box.IsWarning,
		cause:    `for t in iptables ip6tables; do $t -t raw -A PREROUTING -p tcp --sport 53 -j CT --notrack; $t -t raw -A OUTPUT -p udp --sport 53 -j NOTRACK; done`,
		words:    []string{"firewall rules disable connection tracking (NOTRACK): untracked packets have no mark"},
		evidence: []string{"raw PREROUTING: -A PREROUTING -p tcp -m tcp --sport 53 -j CT --notrack", "raw OUTPUT: -A OUTPUT -p udp -m udp --sport 53 -j NOTRACK"},
		remedy:   "or restrict them to the loopback interface: -i lo, -o lo",
		cure:     `for t in iptables ip6tables; do $t -t raw -F; $t -t raw -A PREROUTING -i lo -p tcp --sport 53 -j CT --notrack; $t -t raw -A OUTPUT -o lo -p udp --sport 53 -j NOTRACK; done`},
	"untracked by nft": {id: "notrack", severity: box.IsWarning,
		cause:    "for f in ip ip6; do nft add table $f t; nft add chain $f t c '{ type filter hook prerouting priority -300; }'; nft add rule $f t c udp dport 53 notrack; nft add rule $f t c ct mark '& 0x4000 == 0x4000' notrack; done",
		evidence: []string{"ip t c: notrack", "ip6 t c: notrack"},
		remedy:   "(nft: iifname lo, oifname lo)",
		cure:     "for f in ip ip6; do nft flush chain $f t c; nft add rule $f t c iifname lo udp dport 53 notrack; nft add rule $f t c iif lo udp sport 53 notrack; done"},
}

func TestDoctorReportsForeignFirewallRules(t *testing.T) {
	t.Parallel()
	runFindingCases(t, foreignFirewallCases)
}
