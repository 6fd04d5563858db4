package matrix

// routeFaults are routes of other programs.
var routeFaults = []fault{
	{name: "a VPN has routes to all networks in main", once: "ip link add tun9 type bridge; ip link set tun9 up; for n in 192.0.0.0/8 198.0.0.0/8 203.0.0.0/8 2000::/8; do ip route add $n dev tun9; done",
		lost: lost(0, allKinds...).and(lost(1, allKinds...)), cause: "rule-shadowed"},
	{name: "the table of eth1 refuses the clients", each: "{ip} route add blackhole {clients} table 8202",
		lost: lost(1, allKinds...), open: "yes, unless the address of the proof is one of those clients", cause: "route-shadowed", doctor: "table-in-use"},
	{name: "the table of eth1 has the clients by eth0", each: "{ip} route add {clients} via {r0} table 8202",
		lost: lost(1, allKinds...), cause: "route-shadowed|stray", needs: traffic, doctor: "table-in-use"},
	{name: "the table of eth1 has one client by eth0", each: "{ip} route add {client} via {r0} table 8202",
		lost: lost(1, allKinds...), cause: "route-shadowed|stray", needs: traffic, doctor: "table-in-use"},
	{name: "the table of eth1 has half of all networks by eth0", each: "for n in 0.0.0.0/1 128.0.0.0/1 ::/1 8000::/1; do {ip} route add $n via {r0} table 8202 2>&- || :; done",
		lost: lost(1, allKinds...), cause: "route-shadowed", doctor: "table-in-use"},
	{name: "a better default route in the table of eth1", only: 6, each: "{ip} route add default via {r0} table 8202 metric 1",
		lost: lostIn(6, allKinds...), cause: "route-missing|route-shadowed", doctor: "table-in-use"},
	{name: "an unreachable default route in the table of eth1", only: 6, each: "{ip} route add unreachable default table 8202 metric 1",
		lost: lostIn(6, allKinds...), cause: "route-missing|route-shadowed", doctor: "table-in-use"},
	{name: "the clients' network is local", each: "{ip} route add local {clients} dev lo table local",
		lost: lost(0, allKinds...).and(lost(1, allKinds...)), open: "yes, unless the address of the proof is one of those clients", cause: "other"},
	{name: "the address of eth1 is not local", each: "{ip} route del local {a1} table local",
		lost: lost(1, ownKinds...), cause: "other"},
}

// linkFaults are links, addresses and sysctls.
var linkFaults = []fault{
	{name: "eth1 is down", once: "ip link set eth1 down", lost: lost(1, allKinds...), cause: "not-shown", unknown: true},
	{name: "eth1 is a port of a bridge", once: "ip link add br9 type bridge; ip link set br9 up; ip link set eth1 master br9", lost: lost(1, dnatKinds...), more: true, cause: "bridge"},
	{name: "eth1 has another name", once: "ip link set eth1 down; ip link set eth1 name wan9; ip link set wan9 up", lost: lost(1, allKinds...), absent: true},
	{name: "IPv6 is off on eth1", once: "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1", lost: lostIn(6, allKinds...), absent: true},
	{name: "the host does not forward", once: "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0",
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), open: "yes in IPv4, where the kernel drops such a request without a trace", cause: "other"},
	{name: "ARP is off on eth1", once: "ip link set eth1 arp off", lost: lost(1, allKinds...), cause: "arp-off", doctor: "arp-off"},
	{name: "a wrong neighbour entry of eth1's gateway", each: "{ip} neigh replace {router1} lladdr 02:00:00:00:00:99 dev eth1 nud permanent",
		lost: lost(1, allKinds...), cause: "neighbour", doctor: "neighbour"},
	{name: "a wrong neighbour entry of the host of the LAN", each: "{ip} neigh replace {host} lladdr 02:00:00:00:00:99 dev lan0 nud permanent",
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), open: "yes, as the requests of the host itself are answered", cause: "neighbour|no-answer", unknown: true, service: isUnknown},
	{name: "an IPsec policy blocks replies", each: "{ip} xfrm policy add src {a1} dir out action block",
		lost: lost(1, allKinds...), cause: "ipsec-policy", doctor: "ipsec-policy"},
	{name: "an IPsec policy blocks the clients' network", each: "{ip} xfrm policy add src {all} dst {clients} dir out action block",
		lost: lost(0, allKinds...).and(lost(1, allKinds...)), open: "yes, unless the address of the proof is one of those clients", cause: "ipsec-policy", doctor: "ipsec-policy"},
	{name: "an IPsec policy blocks requests", each: "{ip} xfrm policy add dst {a1} dir in action block",
		lost: lost(1, ownKinds...), cause: "ipsec-policy", doctor: "ipsec-policy"},
	{name: "an IPsec policy blocks what is forwarded", each: "{ip} xfrm policy add src {lan} dir fwd action block",
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), cause: "ipsec-policy", doctor: "ipsec-policy"},
	{name: "an IPsec policy takes replies into a tunnel", each: "{ip} xfrm policy add src {a1} dir out tmpl src {a1} dst {client} proto esp mode tunnel",
		lost: lost(1, allKinds...), cause: "ipsec-policy", doctor: "ipsec-policy"},
}
