package matrix

// inetChain adds table inet t with one chain.
func inetChain(chain, rules string) string {
	return "nft add table inet t; nft 'add chain inet t c { " + chain + " }'; nft 'add rule inet t c " + rules + "'; "
}

// markFaults are marks of other programs.
var markFaults = []fault{
	{name: "OUTPUT sets eth0's mark", each: "{ipt} -t mangle -A OUTPUT -j MARK --set-xmark 0x100/0x1f00",
		lost: lost(1, ownKinds...), cause: "output-mark", doctor: "mark-bits-firewall"},
	{name: "OUTPUT sets a whole mark, which is eth0's", each: "{ipt} -t mangle -A OUTPUT -j MARK --set-mark 0x100",
		lost: lost(1, ownKinds...), cause: "output-mark", doctor: "mark-bits-firewall"},
	{name: "OUTPUT sets eth1's mark for port 8080", each: "{ipt} -t mangle -A OUTPUT -p tcp --sport 8080 -j MARK --set-xmark 0x200/0x1f00",
		lost: lost(0, web), cause: "output-mark", doctor: "mark-bits-firewall"},
	{name: "OUTPUT sets eth0's mark for ICMP", each: "{ipt} -t mangle -A OUTPUT -p {icmp} -j MARK --set-xmark 0x100/0x1f00",
		lost: lost(1, ping), cause: "output-mark", doctor: "mark-bits-firewall"},
	{name: "nft sets eth0's mark in a route hook", once: inetChain("type route hook output priority -100;", "meta mark set 0x100"),
		lost: lost(1, ownKinds...), cause: "output-mark", doctor: "mark-bits-firewall"},
	{name: "nft adds a bit in a route hook, and a rule goes by it", once: inetChain("type route hook output priority -100;", "meta l4proto { tcp, udp } meta mark set meta mark | 0x10000"),
		each: "{ip} rule add pref 100 fwmark 0x10000/0x10000 lookup 100; {ip} route add local default dev lo table 100",
		lost: lost(0, tcp, web, closed, udp).and(lost(1, tcp, web, closed, udp)), cause: "output-mark|rule-shadowed"},
	{name: "a user's packets get a bit, and a rule goes by it", each: "{ipt} -t mangle -A OUTPUT -m owner --uid-owner 0 -j MARK --or-mark 0x40000; " + byFirst + "{ip} rule add pref 90 fwmark 0x40000/0x40000 lookup 99",
		lost: lost(1, tcp, web, udp), cause: "output-mark|rule-shadowed"},
	{name: "a control group's packets get eth0's mark", once: inetChain("type route hook output priority -100;", "meta skuid 0 meta mark set meta mark & 0xffffe0ff | 0x100"),
		lost: lost(1, tcp, web, udp), cause: "output-mark", doctor: "mark-bits-firewall"},
	{name: "PREROUTING resets the mark of the LAN's packets", each: "{ipt} -t mangle -A PREROUTING -i lan0 -j MARK --set-mark 0",
		lost: lost(1, dnatKinds...), warns: "prerouting-mark", cause: "prerouting-mark", doctor: "mark-bits-firewall"},
	{name: "PREROUTING sets a mark of its own on the LAN's packets", each: "{ipt} -t mangle -A PREROUTING -i lan0 -j MARK --set-mark 1",
		lost: lost(1, dnatKinds...), warns: "prerouting-mark", cause: "prerouting-mark", doctor: "mark-bits-firewall"},
	{name: "PREROUTING sets eth0's mark on the LAN's packets", each: "{ipt} -t mangle -A PREROUTING -i lan0 -j MARK --set-xmark 0x100/0x1f00",
		lost: lost(1, dnatKinds...), cause: "prerouting-mark", doctor: "mark-bits-firewall"},
	{name: "PREROUTING sets eth1's mark on the LAN's TCP", each: "{ipt} -t mangle -A PREROUTING -i lan0 -p tcp -j MARK --set-xmark 0x200/0x1f00",
		lost: lost(0, dnatTCP), cause: "prerouting-mark", doctor: "mark-bits-firewall"},
	{name: "nft resets the mark of the LAN's packets", once: inetChain("type filter hook prerouting priority -100;", "iifname lan0 meta mark set 0"),
		lost: lost(1, dnatKinds...), warns: "prerouting-mark", cause: "prerouting-mark", doctor: "mark-bits-firewall"},
	{name: "nft resets the mark of the LAN's UDP", once: inetChain("type filter hook prerouting priority -100;", "iifname lan0 meta l4proto udp meta mark set 0"),
		lost: lost(1, dnatUDP), warns: "prerouting-mark", cause: "prerouting-mark", doctor: "mark-bits-firewall"},
	{name: "a transparent proxy takes the LAN's packets", each: "{ipt} -t mangle -A PREROUTING -i lan0 -p tcp -j MARK --or-mark 0x20000; {ip} rule add pref 100 fwmark 0x20000/0x20000 lookup 100; {ip} route add local default dev lo table 100",
		lost: lost(0, dnatTCP).and(lost(1, dnatTCP)), cause: "prerouting-mark|rule-shadowed"},
	{name: "FORWARD resets the mark of connections", each: "{ipt} -t mangle -A FORWARD -j CONNMARK --set-mark 0",
		lost: lost(1, dnatKinds...), warns: "mark-not-saved", cause: "mark-not-saved", doctor: "mark-bits-firewall"},
	{name: "FORWARD sets eth0's mark on connections", each: "{ipt} -t mangle -A FORWARD -j CONNMARK --set-xmark 0x100/0x1f00",
		lost: lost(1, dnatKinds...), cause: "mark-not-saved", doctor: "mark-bits-firewall"},
	{name: "INPUT sets eth0's mark on connections", each: "{ipt} -t mangle -A INPUT -j CONNMARK --set-xmark 0x100/0x1f00",
		lost: lost(1, ownKinds...), cause: "mark-not-saved", doctor: "mark-bits-firewall"},
	{name: "nft sets eth0's mark on connections of port 443", once: inetChain("type filter hook input priority 0;", "tcp dport 443 ct mark set 0x100"),
		lost: lost(1, tcp), cause: "mark-not-saved", doctor: "mark-bits-firewall"},
	{name: "nft resets the mark of forwarded connections", once: inetChain("type filter hook forward priority 0;", "ct mark set 0"),
		lost: lost(1, dnatKinds...), warns: "mark-not-saved", cause: "mark-not-saved", doctor: "mark-bits-firewall"},
}

// trackingFaults are exceptions from connection tracking.
var trackingFaults = []fault{
	{name: "eth1's packets are not tracked", each: "{ipt} -t raw -A PREROUTING -i eth1 -j NOTRACK",
		lost: lost(1, dnatKinds...), cause: "notrack", doctor: "notrack"},
	{name: "the LAN's packets are not tracked", each: "{ipt} -t raw -A PREROUTING -i lan0 -j NOTRACK",
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), cause: "notrack", doctor: "notrack"},
	{name: "the LAN's UDP is not tracked", each: "{ipt} -t raw -A PREROUTING -i lan0 -p udp -j CT --notrack",
		lost: lost(0, dnatUDP).and(lost(1, dnatUDP)), cause: "notrack", doctor: "notrack"},
	{name: "requests for a server of the LAN are not tracked", each: "{ipt} -t raw -A PREROUTING -i eth1 -p tcp --dport 2222 -j NOTRACK",
		lost: lost(1, dnatTCP), cause: "notrack", doctor: "notrack"},
	{name: "nft does not track the LAN's packets", once: inetChain("type filter hook prerouting priority -300;", "iifname lan0 notrack"),
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), cause: "notrack", doctor: "notrack"},
	{name: "eth1's packets are in a zone", each: "{ipt} -t raw -A PREROUTING -i eth1 -j CT --zone 5",
		lost: lost(1, dnatKinds...), cause: "ct-zone"},
	{name: "the LAN's packets are in a zone", each: "{ipt} -t raw -A PREROUTING -i lan0 -j CT --zone 5",
		lost: lost(0, dnatKinds...).and(lost(1, dnatKinds...)), cause: "ct-zone"},
	{name: "nft puts eth1's packets into a zone", once: inetChain("type filter hook prerouting priority -300;", "iifname eth1 ct zone set 5"),
		lost: lost(1, dnatKinds...), cause: "ct-zone"},
}
