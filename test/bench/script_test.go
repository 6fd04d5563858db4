package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScriptMergesAPlanIntoFewCommands(t *testing.T) {
	got := newScript([]string{
		"ip route replace default via 198.19.0.1 dev wan0 table 8201 protocol 82",
		"ip -6 rule add priority 3999 from all nop protocol 82",
		"sysctl -w net.ipv4.fwmark_reflect=1",
		"ip link set dev wan0 group 8200",
		"iptables -w -t mangle -N REPLYPATH-NEW",
		"iptables -w -t mangle -A REPLYPATH-NEW -i wan0 -j RETURN",
		"ip6tables-legacy -w -t mangle -F REPLYPATH-NEW",
		"nft 'add table inet replypath'",
		`nft 'add rule inet replypath ip-s1 oifname "wan0" counter name "ip-seen1" return'`,
	})
	want := script{
		batch: map[family][]string{
			4: {"route replace default via 198.19.0.1 dev wan0 table 8201 protocol 82", "link set dev wan0 group 8200"},
			6: {"rule add priority 3999 from all nop protocol 82"},
		},
		sysctls: []string{"net.ipv4.fwmark_reflect=1"},
		nft:     []string{"add table inet replypath", `add rule inet replypath ip-s1 oifname "wan0" counter name "ip-seen1" return`},
		restore: map[string][]string{
			"iptables":         {":REPLYPATH-NEW - [0:0]", "-A REPLYPATH-NEW -i wan0 -j RETURN"},
			"ip6tables-legacy": {"-F REPLYPATH-NEW"},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(script{})); diff != "" {
		t.Error(diff)
	}
	back := script{batch: map[family][]string{4: {"link set dev wan0 group 0"}}, sysctls: []string{"net.ipv4.fwmark_reflect=0"}}
	if diff := cmp.Diff(back, got.undone(), cmp.AllowUnexported(script{})); diff != "" {
		t.Error(diff)
	}
}
