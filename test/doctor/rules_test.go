package doctor

import (
	"testing"

	"replypath/test/box"
)

// foreignRuleCases are ip rules and routes of others, and marks of theirs.
var foreignRuleCases = map[string]findingCase{
	"a rule of Tailscale's kind by our bits": {id: "mark-bits-rule", severity: box.IsWarning, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 5210 fwmark 0x1800/0x1fff00 lookup 52; done",
		words:    []string{"ip rules of Tailscale", "replypath's mask 0x1f00"},
		evidence: []string{"ip rule 5210: from all fwmark 0x1800/0x1fff00 lookup ", "ip -6 rule 5210: from all fwmark 0x1800/0x1fff00"},
		remedy:   "set mask = 0x", setting: "mask"},
	"the same, moved to other bits": {id: "mark-bits-rule", severity: box.IsWarning, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 5210 fwmark 0x1800/0x1fff00 lookup 52; done",
		evidence: []string{"0x1800"}, remedy: "configure the other program to use other bits",
		cure: "for f in -4 -6; do ip $f rule del priority 5210; ip $f rule add priority 5210 fwmark 0x80000/0xff0000 lookup 52; done"},
	"a rule that an uplink's packets meet": {id: "mark-bits-rule", severity: box.IsError, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 1700 fwmark 0x200/0x300 lookup 99; ip $f route add unreachable default table 99; done",
		words:    []string{"an unknown program", "packets are taken for those of another uplink or of none"},
		evidence: []string{"ip rule 1700: from all fwmark 0x200/0x300 lookup ", "ip -6 rule 1700"},
		remedy:   "set mask = 0x", setting: "mask"},
	"a rule that no packet of an uplink reaches": {id: "mark-bits-rule", severity: box.IsWarning, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 7000 fwmark 0x200/0x300 lookup 99; ip $f route add unreachable default table 99; done",
		evidence: []string{"ip rule 7000: ", "ip -6 rule 7000: "},
		remedy:   "set mask = 0x", setting: "mask"},
	"a rule among ours": {id: "rule-among-ours", severity: box.IsWarning, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 2500 from all lookup 77; done",
		words:    []string{"ip rules of an unknown program", "2000 to 3999"},
		evidence: []string{"ip rule 2500: from all lookup ", "ip -6 rule 2500: from all lookup "},
		remedy:   "give those rules priorities above 3999",
		cure:     "for f in -4 -6; do ip $f rule del priority 2500; ip $f rule add priority 4500 from all lookup 77; done"},
	"a rule among ours, and we move": {id: "rule-among-ours", severity: box.IsWarning, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 2500 from all lookup 77; done",
		evidence: []string{"2500"}, remedy: "or set priority = 500 to move those of replypath", setting: "priority"},
	"rules all over ours": {id: "rule-among-ours", severity: box.IsWarning, anyBackend: true,
		cause:    "for p in 2100 3100 4100 5100 6100 8100 9500 11000; do ip -6 rule add priority $p to 2001:db8:77::/64 lookup 77; done",
		evidence: []string{"ip -6 rule 2100: ", "ip -6 rule 3100: "}, remedy: "or set priority = 100 to move those of replypath", setting: "priority"},
	"a rule before ours": {id: "rule-before-ours", severity: box.IsError, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 1500 not fwmark 0xca6c lookup 51820; ip $f route add unreachable default table 51820; done",
		also:     []string{"mark-bits-rule"},
		words:    []string{"ip rules of wg-quick"},
		evidence: []string{"ip rule 1500: not from all fwmark 0xca6c/0xffffffff lookup 51820", "ip -6 rule 1500: not from all fwmark 0xca6c"},
		remedy:   "give those rules priorities above 3999",
		// wg-quick's second rule keeps the networks inside reachable.
		cure: "for f in -4 -6; do ip $f rule del priority 1500; ip $f rule add priority 14999 lookup main suppress_prefixlength 0; ip $f rule add priority 15000 not fwmark 0xca6c lookup 51820; done"},
	"a rule before ours, and we move": {id: "rule-before-ours", severity: box.IsError, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 1990 lookup 77; ip $f rule add priority 1200 to 203.0.113.9 lookup 77 2>&- || ip $f rule add priority 1200 to 2001:db8:77::9 lookup 77; ip $f route add unreachable default table 77; done",
		evidence: []string{"ip rule 1990: from all lookup ", "ip -6 rule 1990: "}, remedy: "give those rules priorities above 3999",
		cure: "for f in -4 -6; do ip $f rule del priority 1990; done"},
	"a rule for main before ours, and main has no default": {id: "rule-before-ours", severity: box.IsNote, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f route del default; ip $f rule add priority 1500 lookup main; done",
		evidence: []string{"ip rule 1500: from all lookup main", "ip -6 rule 1500: from all lookup main"},
		remedy:   "none needed as long as that stays so",
		cure:     "for f in -4 -6; do ip $f rule del priority 1500; done"},
	"a rule before ours whose table refuses nothing": {id: "rule-before-ours", severity: box.IsNote, anyBackend: true,
		cause:    "for f in -4 -6; do ip $f rule add priority 1500 lookup 77; ip $f route add throw default table 77; done",
		evidence: []string{"ip rule 1500: from all lookup 77", "ip -6 rule 1500: from all lookup 77"},
		remedy:   "none needed as long as that stays so",
		cure:     "for f in -4 -6; do ip $f rule del priority 1500; done"},
	"a route in a table that an uplink may get": {id: "table-in-use", severity: box.IsWarning, anyBackend: true,
		cause:    "ip route add 203.0.113.64/26 dev eth0 table 8205; ip -6 route add 2001:db8:99::/64 dev eth0 table 8206",
		words:    []string{"8201 to 8231"},
		evidence: []string{"IPv4 table 8205: 203.0.113.64/26, protocol boot", "IPv6 table 8206: 2001:db8:99::/64, protocol boot"},
		remedy:   "set table_base = 8300", setting: "table_base"},
	"a route in an uplink's table": {id: "table-in-use", severity: box.IsError, anyBackend: true,
		cause:    "ip route add 203.0.113.0/25 via 198.51.100.1 table 8202; ip -6 route add 2001:db8:c::/64 via fe80::1 dev eth0 table 8202; ip rule add priority 30000 to 203.0.113.9 lookup 8303",
		evidence: []string{"IPv4 table 8202: 203.0.113.0/25", "IPv6 table 8202: 2001:db8:c::/64"},
		remedy:   "set table_base = 8400", setting: "table_base"},
	"main refuses what it has no route for": {id: "uplinks", severity: box.IsWarning, anyBackend: true,
		cause:  "ip -6 route add unreachable default metric 4096",
		words:  []string{"main has an unreachable", "for IPv6"},
		remedy: "ip -6 route add unreachable default table default",
		cure:   "ip -6 route add unreachable default table default; ip -6 route del unreachable default metric 4096"},
}

func TestDoctorReportsForeignRules(t *testing.T) {
	t.Parallel()
	runFindingCases(t, foreignRuleCases)
}
