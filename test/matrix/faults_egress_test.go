package matrix

// egressChain adds a chain of nftables for what leaves by a link.
func egressChain(link, rule string) string {
	return "nft add table netdev t; nft 'add chain netdev t e { type filter hook egress device " + link + " priority 0; }'; nft 'add rule netdev t e " + rule + "'"
}

// ingressChain adds a chain of nftables for what comes in by the LAN's link. family is netdev or inet.
func ingressChain(family, rule string) string {
	return "nft add table " + family + " t; nft 'add chain " + family + " t i { type filter hook ingress device lan0 priority 0; }'; nft 'add rule " + family + " t i " + rule + "'"
}

// postrouting adds a chain of nftables behind those of iptables.
func postrouting(rule string) string {
	return "nft add table {f} t; nft 'add chain {f} t p { type filter hook postrouting priority 50; }'; nft 'add rule {f} t p " + rule + "'"
}

// egressFaults take replies after they were routed.
var egressFaults = []fault{
	{name: "a chain at egress forwards to eth0", once: egressChain("eth1", "meta protocol { ip, ip6 } fwd to eth0"),
		lost: lost(1, allKinds...), cause: "reply-redirected", doctor: "egress-rule"},
	{name: "a chain at egress drops", once: egressChain("eth1", "meta protocol { ip, ip6 } drop"),
		lost: lost(1, allKinds...), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "a chain at egress drops by its policy", once: egressChain("eth1", "meta protocol != { ip, ip6 } accept") + "; nft 'add chain netdev t e { policy drop; }'",
		lost: lost(1, allKinds...), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "a chain at egress drops TCP", once: egressChain("eth1", "meta l4proto tcp drop"),
		lost: lost(1, tcp, web, closed, dnatTCP), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "a chain at egress drops port 8080", once: egressChain("eth1", "tcp sport 8080 drop"),
		lost: lost(1, web), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "a chain at egress drops what DNAT translated", once: egressChain("eth1", "udp sport 5000 drop"),
		lost: lost(1, dnatUDP), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "a chain at egress rewrites the source", each: "nft add table netdev t{n}; nft 'add chain netdev t{n} e { type filter hook egress device eth1 priority 0; }'; nft add rule netdev t{n} e {f} saddr set {a0}",
		lost: lost(1, allKinds...), cause: "reply-rewritten", doctor: "egress-rule"},
	{name: "a chain at egress rewrites the hardware address", once: egressChain("eth1", "meta protocol { ip, ip6 } ether daddr set 02:00:00:00:00:99"),
		lost: lost(1, allKinds...), cause: "reply-rewritten|neighbour", doctor: "egress-rule"},
	{name: "a chain at eth0's egress drops", once: egressChain("eth0", "meta protocol { ip, ip6 } drop"),
		lost: lost(0, allKinds...), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "POSTROUTING drops", each: "{ipt} -t mangle -A POSTROUTING -o eth1 -j DROP",
		lost: lost(1, allKinds...), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "a chain of POSTROUTING drops TCP", each: "{ipt} -t mangle -N OUT; {ipt} -t mangle -A OUT -p tcp -j DROP; {ipt} -t mangle -A POSTROUTING -o eth1 -j OUT",
		lost: lost(1, tcp, web, closed, dnatTCP), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "POSTROUTING drops port 443", each: "{ipt} -t mangle -A POSTROUTING -o eth1 -p tcp --sport 443 -j DROP",
		lost: lost(1, tcp), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "nft drops in POSTROUTING", each: postrouting("oifname eth1 drop"),
		lost: lost(1, allKinds...), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "nft drops UDP in POSTROUTING", each: postrouting("oifname eth1 meta l4proto udp drop"),
		lost: lost(1, udp, dnatUDP), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "nft rewrites the source in POSTROUTING", each: postrouting("oifname eth1 {f} saddr set {a0}"),
		lost: lost(1, ownKinds...), cause: "reply-rewritten", doctor: "egress-rule"},
	{name: "nft rewrites the source in OUTPUT", each: "nft add table {f} t; nft 'add chain {f} t o { type route hook output priority -50; }'; nft add rule {f} t o oifname eth1 {f} saddr set {a0}",
		lost: lost(1, ownKinds...), cause: "wrong-source|reply-rewritten"},
	{name: "nft rewrites the source of port 443", each: postrouting("oifname eth1 tcp sport 443 {f} saddr set {a0}"),
		lost: lost(1, tcp), cause: "reply-rewritten", doctor: "egress-rule"},
	{name: "nft rewrites the source port in POSTROUTING", each: postrouting("oifname eth1 udp sport 5353 udp sport set 5354"),
		lost: lost(1, udp), cause: "reply-rewritten", doctor: "egress-rule"},
	{name: "a filter redirects to eth0", once: "tc qdisc add dev eth1 clsact", each: "tc filter add dev eth1 egress pref {n} protocol {tc} u32 match u32 0 0 action mirred egress redirect dev eth0",
		lost: lost(1, allKinds...), cause: "traffic-control", doctor: "traffic-control"},
	{name: "a filter below a root qdisc redirects to eth0", once: "tc qdisc add dev eth1 root handle 1: htb", each: "tc filter add dev eth1 parent 1: pref {n} protocol {tc} u32 match u32 0 0 action mirred egress redirect dev eth0",
		lost: lost(1, allKinds...), cause: "traffic-control", doctor: "traffic-control"},
	{name: "a filter redirects source port 443", only: 4, once: "tc qdisc add dev eth1 clsact", each: "tc filter add dev eth1 egress pref {n} protocol {tc} u32 match ip protocol 6 0xff match ip sport 443 0xffff action mirred egress redirect dev eth0",
		lost: lostIn(4, tcp), cause: "traffic-control", doctor: "traffic-control"},
	{name: "a qdisc drops all", once: "tc qdisc add dev eth1 root blackhole",
		lost: lost(1, allKinds...), cause: "traffic-control", doctor: "traffic-control"},
	{name: "nft drops by a map of ports in POSTROUTING", each: postrouting("oifname eth1 tcp sport vmap { 8080 : drop }"),
		lost: lost(1, web), cause: "reply-dropped", doctor: "egress-rule"},
	{name: "nft drops at the ingress of the LAN's link", once: ingressChain("netdev", "meta l4proto { tcp, udp } drop"),
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), cause: "firewall", unknown: true, service: isUnknown},
	{name: "nft drops a port at the ingress of the LAN's link", once: ingressChain("inet", "tcp sport 22 drop"),
		lost: lost(0, dnatTCP).and(lost(1, dnatTCP)), cause: "firewall", unknown: true, service: isUnknown},
	{name: "a chain at the ingress of the LAN's link drops by its policy", once: ingressChain("netdev", "meta protocol arp accept") + "; nft 'add rule netdev t i icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'; nft 'add chain netdev t i { policy drop; }'",
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), cause: "firewall", unknown: true, service: isUnknown},
	{name: "nft rewrites the source port at the ingress of the LAN's link", once: ingressChain("netdev", "tcp sport 22 tcp sport set 23"),
		lost: lost(0, dnatTCP).and(lost(1, dnatTCP)), cause: "reply-rewritten", unknown: true, service: isUnknown},
	{name: "nft rewrites the source at the ingress of the LAN's link", once: ingressChain("inet", "ip saddr set 198.18.0.77"),
		lost: losses{{0, 4}: dnatKinds, {1, 4}: dnatKinds}, cause: "reply-rewritten"},
	{name: "a shaper lets nothing pass", once: "tc qdisc add dev eth1 root tbf rate 8bit burst 10 latency 1ms",
		lost: lost(1, allKinds...), cause: "traffic-control", doctor: "traffic-control"},
	{name: "a queue has no room", once: "tc qdisc add dev eth1 root pfifo limit 0",
		lost: lost(1, allKinds...), cause: "traffic-control", doctor: "traffic-control"},
	{name: "POSTROUTING sets the hop limit of neighbour discovery", only: 6, each: "{ipt} -t mangle -A POSTROUTING -o eth1 -j HL --hl-set 65; ip -6 neigh flush dev eth1",
		lost: lostIn(6, allKinds...), cause: "neighbour", doctor: "egress-rule"},
	{name: "OUTPUT sets the hop limit of ICMPv6", only: 6, each: "{ipt} -t mangle -A OUTPUT -p ipv6-icmp -o eth1 -j HL --hl-dec 1; ip -6 neigh flush dev eth1",
		lost: lostIn(6, allKinds...), cause: "neighbour", doctor: "egress-rule"},
	{name: "nft sets the hop limit of neighbour discovery", only: 6, each: postrouting("oifname eth1 ip6 hoplimit set 65") + "; ip -6 neigh flush dev eth1",
		lost: lostIn(6, allKinds...), cause: "neighbour", doctor: "egress-rule"},
	{name: "a chain at egress sets the hop limit of neighbour discovery", once: egressChain("eth1", "meta protocol ip6 ip6 hoplimit set 64") + "; ip -6 neigh flush dev eth1",
		lost: lostIn(6, allKinds...), cause: "neighbour", doctor: "egress-rule"},
	{name: "nft sets the TTL to 1 in POSTROUTING", each: postrouting("oifname eth1 {f} {ttl} set 1"),
		lost: lost(1, allKinds...), cause: "reply-rewritten", doctor: "egress-rule"},
	{name: "POSTROUTING sets the TTL to 1", each: "{ipt} -t mangle -A POSTROUTING -o eth1 -j {TTL} 1",
		lost: lost(1, allKinds...), cause: "reply-rewritten", doctor: "egress-rule"},
}

// firewallFaults drop requests, or replies before their route is final.
var firewallFaults = []fault{
	{name: "INPUT drops requests", each: "{ipt} -A INPUT -i eth1 -p tcp -j DROP; {ipt} -A INPUT -i eth1 -p udp -j DROP", lost: lost(1, tcp, web, closed, udp), refused: true},
	{name: "raw PREROUTING drops requests", each: "{ipt} -t raw -A PREROUTING -i eth1 -j DROP", lost: lost(1, allKinds...), cause: "firewall", unknown: true, service: isUnknown},
	{name: "OUTPUT drops replies", each: "{ipt} -A OUTPUT -o eth1 -p tcp -j DROP", lost: lost(1, tcp, web, closed), cause: "firewall", unknown: true, service: isUnknown},
	{name: "FORWARD drops replies", each: "{ipt} -A FORWARD -i lan0 -o eth1 -j DROP", lost: lost(1, dnatKinds...), cause: "firewall", unknown: true, service: isUnknown},
	{name: "FORWARD drops by its policy", each: "{ipt} -P FORWARD DROP", lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), refused: true},
	{name: "nft drops at ingress", once: "nft add table netdev t; nft 'add chain netdev t i { type filter hook ingress device eth1 priority 0; }'; nft 'add rule netdev t i meta protocol { ip, ip6 } drop'",
		lost: lost(1, allKinds...), cause: "firewall", unknown: true, service: isUnknown},
	{name: "a filter redirects to eth0 at ingress", once: "tc qdisc add dev eth1 clsact", each: "tc filter add dev eth1 ingress pref {n} protocol {tc} u32 match u32 0 0 action mirred egress redirect dev eth0",
		lost: lost(1, allKinds...), cause: "firewall", unknown: true, service: isUnknown},
	{name: "nft drops requests whose reply main would send by another link", once: inetChain("type filter hook prerouting priority 0;", "iifname eth1 fib saddr . iif oif missing drop"), lost: lost(1, dnatKinds...), refused: true},
	{name: "echo requests are ignored", once: "sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1",
		lost: lost(0, ping).and(lost(1, ping)), refused: true},
}
