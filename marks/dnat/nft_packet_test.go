package dnat_test

import (
	"net/netip"
	"testing"
)

// native are rules in the syntax of nft(8). Each has its tables; $F is the family of addresses (ip, ip6), $P the chain
// "type nat hook prerouting priority dstnat", whose first rule lets the datagram behind the request pass.
var native = []scenario{
	{name: "port", rules: "table $F t { chain p { $P udp dport 5306 dnat to $TO; }; }"},
	{name: "another port", rules: "table $F t { chain p { $P udp dport 5307 dnat to $TO; }; }", kept: true},
	{name: "in a table of both families", rules: "table inet t { chain p { $P udp dport 5306 dnat $F to $TO; }; }"},
	{name: "of the other family", rules: "table inet t { chain p { $P udp dport 5306 dnat $G to $FAR; }; }", kept: true},
	{name: "range", rules: "table $F t { chain p { $P udp dport 5300-5310 dnat to $TO; }; }"},
	{name: "not in the range", rules: "table $F t { chain p { $P udp dport != 5300-5310 dnat to $TO; }; }", kept: true},
	{name: "above", rules: "table $F t { chain p { $P udp dport > 5305 dnat to $TO; }; }"},
	{name: "set", rules: "table $F t { chain p { $P udp dport { 53, 5306, 123 } dnat to $TO; }; }"},
	{name: "not in the set", rules: "table $F t { chain p { $P udp dport != { 53, 5306 } dnat to $TO; }; }", kept: true},
	{name: "in a table with a name of iptables", rules: "table $F nat { chain prerouting { $P udp dport 5306 dnat to $TO; }; }"},
	{name: "set of intervals", rules: "table $F t { set s { type inet_service; flags interval; elements = { 1-10, 5300-5306, 65000-65535 } }; chain p { $P udp dport @s dnat to $TO; }; }"},
	{name: "between the intervals", rules: "table $F t { set s { type inet_service; flags interval; elements = { 1-5305, 5307-65535 } }; chain p { $P udp dport @s dnat to $TO; }; }", kept: true},
	{name: "the last interval", rules: "table $F t { set s { type inet_service; flags interval; elements = { 5300-65535 } }; chain p { $P udp dport @s dnat to $TO; }; }"},
	{name: "concatenation", rules: "table $F t { chain p { $P $F daddr . udp dport { $OWN . 5306, $OTHER . 53 } dnat to $TO; }; }"},
	{name: "another concatenation", rules: "table $F t { chain p { $P $F daddr . udp dport { $OWN . 53, $OTHER . 5306 } dnat to $TO; }; }", kept: true},
	{name: "concatenation of ranges", rules: "table $F t { set s { type $T . inet_service; flags interval; elements = { $NET . 5300-5310, $OTHER . 1-65535 } }; chain p { $P $F daddr . udp dport @s dnat to $TO; }; }"},
	{name: "outside of the ranges", rules: "table $F t { set s { type $T . inet_service; flags interval; elements = { $NET . 5307-5310, $OTHER . 1-65535 } }; chain p { $P $F daddr . udp dport @s dnat to $TO; }; }", kept: true},
	{name: "map", rules: "table $F t { chain p { $P dnat to udp dport map { 5306 : $TO, 53 : $OTHER }; }; }"},
	{name: "map without the port", rules: "table $F t { chain p { $P dnat to udp dport map { 53 : $TO }; }; }", kept: true},
	{name: "map to the host", rules: "table $F t { chain p { $P dnat to udp dport map { 5306 : $OTHER, 53 : $TO }; }; }", kept: true},
	{name: "map of addresses and ports", rules: "table $F t { map m { type inet_service : $T . inet_service; elements = { 5306 : $OTHER . 5307 } }; chain p { $P dnat to udp dport map @m; }; }"},
	{name: "verdict map", rules: "table $F t { chain d { dnat to $TO; }; chain p { $P udp dport vmap { 53 : accept, 5306 : goto d }; }; }"},
	{name: "verdict map that accepts", rules: "table $F t { chain p { $P udp dport vmap { 5306 : accept }; udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "verdict map with a default", rules: "table $F t { map m { type inet_service : verdict; elements = { 53 : accept, * : jump d } }; chain d { dnat to $TO; }; chain p { $P udp dport vmap @m; }; }"},
	{name: "link", rules: "table $F t { chain p { $P iifname \"eth1\" udp dport 5306 dnat to $TO; }; }"},
	{name: "another link", rules: "table $F t { chain p { $P iifname != \"eth1\" udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "link by index", rules: "table $F t { chain p { $P iif eth1 udp dport 5306 dnat to $TO; }; }"},
	{name: "links by prefix", rules: "table $F t { chain p { $P iifname \"eth*\" udp dport 5306 dnat to $TO; }; }"},
	{name: "set of links", rules: "table $F t { chain p { $P iifname { \"lan0\", \"eth1\" } udp dport 5306 dnat to $TO; }; }"},
	{name: "address", rules: "table $F t { chain p { $P $F daddr $OWN udp dport 5306 dnat to $TO; }; }"},
	{name: "network", rules: "table $F t { chain p { $P $F daddr $NET udp dport 5306 dnat to $TO; }; }"},
	{name: "not the network", rules: "table $F t { chain p { $P $F daddr != $NET udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "docker", rules: "table $F t { chain n { iifname != \"docker0\" udp dport 5306 counter dnat to $TO comment \"DNAT\"; }; chain p { $P fib daddr type local counter jump n; }; }"},
	{name: "no local address", rules: "table $F t { chain p { $P fib daddr type != local udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "netavark", rules: "table inet t { chain h { udp dport 5306 jump d; }; chain d { $F saddr $STRANGER udp dport 5306 meta mark set 5; udp dport 5306 dnat $F to $TO; }; chain p { $P fib daddr type local jump h; }; }"},
	{name: "kube-proxy", rules: "table $F t { map nodeports { type inet_proto . inet_service : verdict; elements = { udp . 5306 : goto svc } }; map ips { type $T . inet_proto . inet_service : verdict; elements = { $TO . udp . 53 : goto svc } }; chain e1 { meta l4proto udp dnat to $A:53; }; chain e2 { meta l4proto udp dnat to $A:54; }; chain svc { numgen random mod 2 vmap { 0 : goto e1, 1 : goto e2 }; }; chain p { $P $F daddr . meta l4proto . th dport vmap @ips; meta l4proto . th dport vmap @nodeports; }; }"},
	{name: "a map of several targets", rules: "table $F t { chain p { $P udp dport 5306 dnat to numgen random mod 10 map { 0-4 : $TO, 5-9 : $NEXT }; }; }"},
	{name: "a map of a hash", rules: "table $F t { chain p { $P udp dport 5306 dnat to jhash $F saddr mod 2 map { 0 : $TO, 1 : $NEXT }; }; }"},
	{name: "a map of some numbers", rules: "table $F t { chain p { $P udp dport 5306 dnat to numgen inc mod 3 offset 5 map { 5 : $TO, 6 : $NEXT }; }; }", unknown: true},
	{name: "returns before", rules: "table $F t { chain d { iifname eth1 return; udp dport 5306 dnat to $TO; }; chain p { $P jump d; }; }", kept: true},
	{name: "accepted in another chain", rules: "table $F t { chain a { type nat hook prerouting priority -150; accept; }; chain p { $P udp dport 5306 dnat to $TO; }; }"},
	{name: "after a chain that translates", rules: "table $F t { chain a { type nat hook prerouting priority -150; udp dport 5306 redirect to :5306; }; chain p { $P udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "dropped by policy", rules: "table $F t { chain p { $P ct state new udp dport 5306 return; accept; }; chain q { type nat hook prerouting priority -50; policy drop; udp dport 5999 accept; }; }"},
	{name: "to another port of the host", rules: "table $F t { chain p { $P udp dport 5306 redirect to :5307; }; }"},
	{name: "to the same port of the host", rules: "table $F t { chain p { $P udp dport 5300-5310 redirect; }; }", kept: true},
	{name: "new connections", rules: "table $F t { chain p { $P ct state new udp dport 5306 dnat to $TO; }; }"},
	{name: "established connections", rules: "table $F t { chain p { $P ct state established udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "dormant", rules: "table $F t { flags dormant; chain p { $P udp dport 5306 dnat to $TO; }; }", kept: true},
	{name: "protocol by header", rules: "table $F t { chain p { $P meta l4proto { tcp, udp } th dport 5306 dnat to $TO; }; }"},
	{name: "a rule for both ports", rules: "table $F t { chain p { $P udp sport 1-65535 udp dport 5306 dnat to $TO; }; }", unknown: true},
	{name: "a source port", rules: "table $F t { chain p { $P udp sport 1 udp dport 5306 dnat to $TO; }; }", kept: true, unknown: true},
	{name: "another client", rules: "table $F t { chain p { $P $F saddr $STRANGER udp dport 5306 dnat to $TO; }; }", kept: true, unknown: true},
	{name: "a bit of the mark", rules: "table $F t { chain p { $P meta mark & 0x10 == 0x10 udp dport 5306 dnat to $TO; }; }", kept: true, unknown: true},
}

// TestPacketsConfirmNativeRules compares the answer for rules of nft(8) with what a server receives.
func TestPacketsConfirmNativeRules(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, own := range []string{"192.0.2.2", "2001:db8:b::2"} {
		to := netip.MustParseAddr(own)
		v := values(to, "nft")
		v["A"], v["NEXT"], v["P"] = "198.18.0.2", "198.18.0.3", "type nat hook prerouting priority -100; udp dport 5999 accept;"
		v["F"], v["G"], v["T"], v["NET"], v["FAR"] = "ip", "ip6", "ipv4_addr", "192.0.2.0/25", "2001:db8:f::2"
		if to.Is6() {
			v["F"], v["G"], v["T"], v["NET"], v["FAR"] = "ip6", "ip", "ipv6_addr", "2001:db8:b::/63", "198.18.0.2"
			v["A"], v["NEXT"] = "[2001:db8:f::2]", "2001:db8:f::3"
		}
		for _, s := range native {
			s.rules = "nft '" + s.rules + "'"
			h.check(t, s, to, v, "nft flush ruleset")
		}
	}
}
