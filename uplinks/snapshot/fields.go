package snapshot

import "replypath/marks/nlattr"

// The families of addresses of the kernel.
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// field is an attribute by the word that precedes its value.
type field struct {
	attr uint16
	key  string
	kind kind
}

// ruleFields are the attributes of a rule, in the order in which they are written (linux/fib_rules.h). Addresses are written with the
// lengths in the header.
var ruleFields = []field{
	{3, "iif", word}, {17, "oif", word}, {10, "fwmark", mask32}, {16, "fwmask", mask32}, {25, "dscp", mask8}, {30, "dscp_mask", mask8},
	{12, "tun_id", network64}, {20, "uidrange", users}, {22, "ipproto", decimal8}, {23, "sport", ports}, {28, "sport_mask", mask16},
	{24, "dport", ports}, {29, "dport_mask", mask16}, {26, "flowlabel", network32}, {27, "flowlabel_mask", network32}, {19, "l3mdev", decimal8},
	{11, "realms", mask32}, {4, "goto", decimal32}, {15, "lookup", decimal32}, {14, "suppress_prefixlength", decimal32}, {13, "suppress_ifgroup", decimal32},
	{21, "protocol", decimal8},
}

// Attributes of a rule that have a place of their own.
const (
	ruleTo       = 1
	ruleFrom     = 2
	ruleGoto     = 4
	rulePriority = 6
	ruleTable    = 15
	rulePadding  = 18
)

// routeFields are the attributes of a route (linux/rtnetlink.h).
var routeFields = []field{
	{5, "via", address}, {18, "via_other", otherAddress}, {30, "nhid", decimal32}, {7, "src", address}, {6, "metric", decimal32},
	{8, "metrics", metrics}, {11, "realms", mask32}, {16, "mark", mask32}, {20, "pref", decimal8}, {26, "ttl_propagate", decimal8},
	{15, "table", decimal32},
}

// hopFields are the attributes of a next hop among several.
var hopFields = []field{{5, "via", address}, {18, "via_other", otherAddress}, {11, "realms", mask32}}

// Attributes of a route that have a place of their own, and those that are not a part of it: its age, padding, and where its
// packets came from.
const (
	routeTo        = 1
	routeFrom      = 2
	routeIn        = 3
	routeOut       = 4
	routeGateway   = 5
	routeMultipath = 9
	routeCacheInfo = 12
	routeTable     = 15
	routeVia       = 18
	routeExpires   = 23
	routePadding   = 24
	routeNexthop   = 30
)

// typeNames are the types of routes, by their numbers.
var typeNames = []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"}

// actionNames are the actions of rules that need no table and no target.
var actionNames = map[uint8]string{3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}

// metricNames are the metrics of a route, by their numbers.
var metricNames = []string{"", "lock", "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering", "hoplimit", "initcwnd", "features",
	"rto_min", "initrwnd", "quickack", "cc_algo", "fastopen_no_cookie"}

// writeFields appends the attributes by their words, those of unknown numbers last. skip has the numbers that are written elsewhere or
// not at all.
func writeFields(out []string, attrs []byte, fields []field, skip ...uint16) []string {
	left := map[uint16]bool{}
	for t := range nlattr.All(attrs) {
		left[t] = true
	}
	for _, t := range skip {
		delete(left, t)
	}
	var raw []string
	write := func(t uint16, key string, k kind) {
		for other, v := range nlattr.All(attrs) {
			if other != t || !left[t] {
				continue
			}
			if text, same := k.wordOf(v); same && key != "" {
				out = append(out, key, text)
			} else {
				raw = append(raw, "attr", decimal(t), hexadecimal.text(v))
			}
		}
		delete(left, t)
	}
	for _, f := range fields {
		write(f.attr, f.key, f.kind)
	}
	for t := range nlattr.All(attrs) {
		write(t, "", hexadecimal)
	}
	return append(out, raw...)
}
