package matrix

// healthyHosts have the rules of other programs, and reply to every request that their firewall accepts.
var healthyHosts = []fault{
	{name: "nothing else"},
	{name: "Docker's rules", each: `{ipt} -t nat -N DOCKER; {ipt} -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; {ipt} -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
{ipt} -t nat -A POSTROUTING -s {lan} ! -o lan0 -j MASQUERADE; {ipt} -t nat -A POSTROUTING -s {host} -d {host} -j MASQUERADE; {ipt} -t nat -A DOCKER -i lan0 -j RETURN
{ipt} -P FORWARD DROP; {ipt} -N DOCKER-USER; {ipt} -N DOCKER; {ipt} -A FORWARD -j DOCKER-USER; {ipt} -A DOCKER-USER -j RETURN
{ipt} -A FORWARD -o lan0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; {ipt} -A FORWARD -o lan0 -j DOCKER; {ipt} -A FORWARD -i lan0 ! -o lan0 -j ACCEPT
{ipt} -A DOCKER -d {host} ! -i lan0 -o lan0 -p tcp --dport 22 -j ACCEPT; {ipt} -A DOCKER -d {host} ! -i lan0 -o lan0 -p udp --dport 5000 -j ACCEPT`},
	{name: "kube-proxy's marks", each: `{ipt} -t nat -N KUBE-MARK-MASQ; {ipt} -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000; {ipt} -t nat -N KUBE-POSTROUTING; {ipt} -t nat -A POSTROUTING -j KUBE-POSTROUTING
{ipt} -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN; {ipt} -t nat -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000; {ipt} -t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully
{ipt} -t nat -A OUTPUT -d {host} -p tcp --dport 22 -j KUBE-MARK-MASQ; {ipt} -N KUBE-FORWARD; {ipt} -A FORWARD -j KUBE-FORWARD
{ipt} -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP; {ipt} -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT; {ipt} -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`},
	{name: "firewalld's rules", once: `nft add table inet firewalld
nft 'add chain inet firewalld mangle_PREROUTING { type filter hook prerouting priority -140; }'; nft 'add rule inet firewalld mangle_PREROUTING icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept'
nft 'add rule inet firewalld mangle_PREROUTING meta nfproto ipv6 fib saddr . mark . iif oif missing drop'
nft 'add chain inet firewalld filter_INPUT { type filter hook input priority 10; }'; nft 'add rule inet firewalld filter_INPUT ct state { established, related } accept'
nft 'add rule inet firewalld filter_INPUT ct status dnat accept'; nft 'add rule inet firewalld filter_INPUT iifname lo accept'; nft 'add rule inet firewalld filter_INPUT ct state invalid drop'
nft 'add chain inet firewalld filter_OUTPUT { type filter hook output priority 10; }'; nft 'add rule inet firewalld filter_OUTPUT oifname lo accept'
nft 'add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }'; nft 'add rule inet firewalld filter_FORWARD ct state { established, related } accept'; nft 'add rule inet firewalld filter_FORWARD ct status dnat accept'; nft 'add rule inet firewalld filter_FORWARD reject with icmpx type admin-prohibited'
nft 'add chain inet firewalld nat_POSTROUTING { type nat hook postrouting priority 110; }'; nft 'add rule inet firewalld nat_POSTROUTING oifname != lo masquerade'`},
	{name: "a firewall that accepts some ports", each: `{ipt} -P INPUT DROP; {ipt} -A INPUT -i lo -j ACCEPT; {ipt} -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; {ipt} -A INPUT -p {icmp} -j ACCEPT
{ipt} -A INPUT -p tcp -m multiport --dports 443,8080 -j ACCEPT; {ipt} -A INPUT -p udp --dport 5353 -j ACCEPT`, lost: lost(0, closed).and(lost(1, closed)), refused: true},
	{name: "Tailscale's rules", once: "ip link add tailscale0 type bridge; ip link set tailscale0 up",
		each: `{ip} rule add pref 5210 fwmark 0x80000/0xff0000 lookup main; {ip} rule add pref 5230 fwmark 0x80000/0xff0000 lookup default; {ip} rule add pref 5250 fwmark 0x80000/0xff0000 unreachable; {ip} rule add pref 5270 lookup 52
{ipt} -N ts-input; {ipt} -I INPUT -j ts-input; {ipt} -A ts-input -i tailscale0 -j ACCEPT; {ipt} -N ts-forward; {ipt} -I FORWARD -j ts-forward; {ipt} -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000
{ipt} -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT; {ipt} -A ts-forward -o tailscale0 -j ACCEPT; {ipt} -t nat -N ts-postrouting; {ipt} -t nat -I POSTROUTING -j ts-postrouting; {ipt} -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE`},
	{name: "wg-quick's rules", each: "{ip} route add default via {r0} table 51820; {ip} rule add pref 32764 not fwmark 0xca6c lookup 51820; {ip} rule add pref 32763 lookup main suppress_prefixlength 0"},
	{name: "a traffic shaper", once: `tc qdisc add dev eth1 root handle 1: htb default 10; tc class add dev eth1 parent 1: classid 1:10 htb rate 100mbit quantum 3000; tc class add dev eth1 parent 1: classid 1:11 htb rate 10mbit quantum 3000
ip link add ifb9 type ifb; ip link set ifb9 up; tc qdisc add dev eth1 handle ffff: ingress; tc qdisc add dev ifb9 root tbf rate 100mbit burst 32k latency 50ms`,
		each: "tc filter add dev eth1 parent 1: pref {n} protocol {tc} u32 match u32 0 0 flowid 1:11; tc filter add dev eth1 parent ffff: pref {n} protocol {tc} u32 match u32 0 0 action mirred egress mirror dev ifb9"},
	{name: "a traffic shaper's marks in POSTROUTING", each: "{ipt} -t mangle -A POSTROUTING -o eth1 -p tcp --sport 443 -j MARK --set-mark 6; {ipt} -t mangle -A POSTROUTING -o eth1 -p udp -j CLASSIFY --set-class 1:11"},
	{name: "a traffic shaper's whole mark in OUTPUT", each: "{ipt} -t mangle -A OUTPUT -p tcp --sport 443 -j MARK --set-mark 0x1", warns: "output-mark"},
	{name: "a whole mark on all packets of the host", each: "{ipt} -t mangle -A OUTPUT -j MARK --set-mark 0x1", warns: "output-mark"},
	{name: "nft resets marks in a route hook", once: inetChain("type route hook output priority -100;", "meta mark set 0"), warns: "output-mark"},
	{name: "Cilium's marks in OUTPUT", each: "{ipt} -t mangle -A OUTPUT -j MARK --set-xmark 0xe00/0xf00", warns: "output-mark"},
	{name: "marks by other bits", each: "{ipt} -t mangle -A PREROUTING -i lan0 -j MARK --set-xmark 0x30000/0xff0000; {ipt} -t mangle -A OUTPUT -j CONNMARK --set-xmark 0x40000/0xff0000"},
	{name: "port 443 is not tracked", each: "{ipt} -t raw -A PREROUTING -p tcp --dport 443 -j NOTRACK; {ipt} -t raw -A OUTPUT -p tcp --sport 443 -j NOTRACK", warns: "notrack"},
	{name: "the host's UDP server is not tracked", once: inetChain("type filter hook prerouting priority -300;", "udp dport 5353 notrack") + "nft 'add chain inet t o { type filter hook output priority -300; }'; nft 'add rule inet t o udp sport 5353 notrack'", warns: "notrack"},
	{name: "SYNPROXY on port 443", once: "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0",
		each: "{ipt} -t raw -A PREROUTING -p tcp --dport 443 --syn -j CT --notrack; {ipt} -A INPUT -p tcp --dport 443 -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460; {ipt} -A INPUT -m conntrack --ctstate INVALID -j DROP", warns: "synproxy"},
	{name: "main has a route to the clients by eth0", each: "{ip} route add {clients} via {r0}"},
	{name: "main has a route to the clients by eth1", each: "{ip} route add {clients} via {r1}"},
	{name: "a table that passes packets on", each: "{ip} route add throw default table 99; {ip} rule add pref 90 lookup 99"},
	{name: "rules for other networks", once: "ip route add default via 198.51.100.1 table 99; ip rule add pref 90 to 10.0.0.0/8 lookup 99; ip rule add pref 91 from 10.0.0.0/8 lookup 99; ip rule add pref 92 fwmark 0x10000/0x10000 lookup 99"},
	{name: "bans, and networks that are reached by a VPN", once: "ip link add tun9 type bridge; ip link set tun9 up; ip route add default dev tun9 table 98; ip rule add pref 93 to 203.0.114.0/24 lookup 98; ip route add 198.18.77.0/24 dev tun9; ip route add unreachable 203.0.113.99; ip -6 route add unreachable 2001:db8:c::99; ip route add blackhole 10.0.0.0/8; ip route add 203.0.114.0/25 via 192.0.2.1 dev eth1 table 8202; ip route add unreachable 203.0.112.0/24 proto dhcp"},
	{name: "a moved rule local", each: "{ip} rule add pref 1000 lookup local; {ip} rule del pref 0"},
	{name: "a strict source check of the firewall", each: "{ipt} -t raw -A PREROUTING -m rpfilter --invert -j DROP"},
	{name: "MASQUERADE, TCPMSS and a ban", each: "{ipt} -t nat -A POSTROUTING -j MASQUERADE; {ipt} -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu; {ipt} -A INPUT -m limit --limit 100/s -j RETURN"},
	{name: "IPsec policies for other networks", once: "ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out tmpl src 192.0.2.2 dst 198.18.9.9 proto esp mode tunnel; ip xfrm policy add src 10.0.0.0/8 dst 10.9.0.0/16 dir out action block"},
	{name: "chains at egress that count and mark", once: egressChain("eth1", "meta protocol { ip, ip6 } counter meta mark set 6") + "; nft 'add rule netdev t e tcp dport 9 drop'"},
	{name: "the source check is loose", once: "sysctl -qw net.ipv4.conf.all.rp_filter=2"},
	{name: "a rule that leads to no uplink", each: byFirst + "{ip} rule add pref 90 lookup 99 suppress_ifgroup 8200"},
	{name: "main has two default routes", each: "{ip} route replace default nexthop via {r0} nexthop via {r1}"},
	{name: "main refuses what has no other route", each: "{ip} route add blackhole default metric 4278198272"},
	{name: "whole marks are saved and restored", each: "{ipt} -t mangle -A POSTROUTING -j CONNMARK --save-mark; {ipt} -t mangle -A PREROUTING -j CONNMARK --restore-mark"},
	{name: "packets are copied at ingress", once: "ip link add dup9 type bridge; ip link set dup9 up; nft add table netdev t; nft 'add chain netdev t i { type filter hook ingress device eth1 priority 0; }'; nft 'add rule netdev t i dup to dup9'"},
	{name: "sockets and the kernel reply with the mark of the request", once: "sysctl -qw net.ipv4.tcp_fwmark_accept=1 net.ipv4.fwmark_reflect=1 net.ipv6.fwmark_reflect=1"},
	{name: "ufw's rules", each: "{ipt} -P INPUT DROP; {ipt} -N ufw-before-input; {ipt} -A INPUT -j ufw-before-input; {ipt} -A ufw-before-input -i lo -j ACCEPT; {ipt} -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; {ipt} -N ufw-logging-deny; {ipt} -A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny; {ipt} -A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG; {ipt} -A ufw-before-input -m conntrack --ctstate INVALID -j DROP; {ipt} -A ufw-before-input -p {icmp} -j ACCEPT; {ipt} -N ufw-user-input; {ipt} -A INPUT -j ufw-user-input; {ipt} -A ufw-user-input -p tcp --dport 443 -j ACCEPT; {ipt} -A ufw-user-input -p tcp --dport 8080 -m conntrack --ctstate NEW -m recent --set; {ipt} -A ufw-user-input -p tcp --dport 8080 -j ACCEPT; {ipt} -A ufw-user-input -p udp --dport 5353 -j ACCEPT",
		lost: lost(0, closed).and(lost(1, closed)), refused: true},
	{name: "fail2ban's set in nft", once: "nft add table inet f2b-table; nft 'add set inet f2b-table a { type ipv4_addr; flags interval; }'; nft 'add element inet f2b-table a { 203.0.114.7, 203.0.113.200 }'; nft 'add chain inet f2b-table f2b-chain { type filter hook input priority -1; }'; nft 'add rule inet f2b-table f2b-chain tcp dport { 22, 443 } ip saddr @a reject with icmp port-unreachable'"},
	{name: "a smaller MTU in the table of eth1", each: "{ip} route change default via {r1} table 8202 mtu 1300"},
	{name: "nft tracks some ports only", once: inetChain("type filter hook output priority -300;", "th sport vmap { 8080 : accept } ") + "nft 'add rule inet t c notrack'", warns: "notrack"},
	{name: "the TTL of one provider's customers", only: 4, each: "{ipt} -t mangle -A POSTROUTING -o eth1 -j {TTL} 65"},
	{name: "the hop limit of all packets but those of neighbour discovery", once: "nft add table ip6 t; nft 'add chain ip6 t p { type filter hook postrouting priority 50; }'; nft 'add rule ip6 t p icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'; nft 'add rule ip6 t p oifname eth1 ip6 hoplimit set 65'"},
	{name: "a chain at the ingress of the LAN's link drops other ports", once: ingressChain("netdev", "tcp sport { 25, 445 } drop") + "; nft 'add rule netdev t i udp sport 137 drop'"},
	{name: "a rule for packets of a tunnel", each: byFirst + "{ip} rule add pref 90 tun_id 5 lookup 99"},
	{name: "a helper of connection tracking", each: "{ipt} -t raw -A PREROUTING -p tcp --dport 443 -j CT --helper ftp"},
	{name: "synproxy of nft on port 443", once: "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0; " + inetChain("type filter hook prerouting priority -300;", "tcp dport 443 tcp flags syn notrack") +
		"nft 'add chain inet t i { type filter hook input priority 0; }'; nft 'add rule inet t i tcp dport 443 ct state { invalid, untracked } synproxy mss 1460 wscale 7 timestamp sack-perm'; nft 'add rule inet t i ct state invalid drop'", warns: "synproxy"},
	{name: "logs, and queues that may be without a reader", each: "{ipt} -A OUTPUT -j NFLOG --nflog-group 5; {ipt} -A INPUT -j NFQUEUE --queue-num 4 --queue-bypass; {ipt} -A OUTPUT -j NFQUEUE --queue-num 4 --queue-bypass"},
	{name: "TEE sends copies of replies to the LAN", each: "{ipt} -t mangle -A POSTROUTING -o eth1 -j TEE --gateway {host}"},
	{name: "TEE sends copies of requests to the LAN", each: "{ipt} -t mangle -A PREROUTING -i eth1 -j TEE --gateway {host}"},
	{name: "nft sends copies of replies to the LAN", each: postrouting("oifname eth1 dup to {host}")},
	{name: "sysctls of ARP, of martians and of the source check", once: "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.arp_filter=1 net.ipv4.conf.all.log_martians=1 net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.rp_filter=1"},
	{name: "deprecated and temporary addresses", once: "ip -6 addr add 2001:db8:b::77/64 dev eth1 preferred_lft 0 nodad; sysctl -qw net.ipv6.conf.eth1.use_tempaddr=2; ip -6 addr add 2001:db8:b::78/64 dev eth1 mngtmpaddr nodad"},
	{name: "INPUT sets eth0's mark on packets", each: "{ipt} -t mangle -A INPUT -i eth1 -j MARK --set-mark 0x100"},
	{name: "the source of requests is translated in INPUT", each: "{ipt} -t nat -A INPUT -i eth1 -p tcp --dport 8080 -j SNAT --to {host}"},
	{name: "the source of requests for the LAN is translated", each: "{ipt} -t nat -A POSTROUTING -o lan0 -j MASQUERADE"},
	{name: "a port is redirected to another", each: "{ipt} -t nat -A PREROUTING -i eth1 -p tcp --dport 8080 -j REDIRECT --to-ports 443"},
}
