package docs

import (
	"strings"

	"replypath/test/box"
	"replypath/test/world"
)

// What these programs put into the kernel is here as they write it, with other addresses and ports; the programs themselves
// need not be there.

// eachFamily runs commands in both families. In them @0, @1 and so on stand for what differs: words for IPv4, for IPv6.
func (c *recipeRun) eachFamily(words [][2]string, lines ...string) {
	c.t.Helper()
	for i, tool := range []string{"iptables -w", "ip6tables -w"} {
		pairs := []string{"@iptables", tool, "@ip", []string{"ip -4", "ip -6"}[i]}
		for n, word := range words {
			pairs = append(pairs, "@"+string(rune('0'+n)), word[i])
		}
		fill := strings.NewReplacer(pairs...)
		for _, line := range lines {
			c.commands(fill.Replace(line))
		}
	}
}

// The host inside, and its network.
var (
	insideNet  = [2]string{"198.18.17.0/24", "2001:db8:17::/64"}
	insideHost = [2]string{"198.18.17.2", "2001:db8:17::2"}
	insideTo   = [2]string{"198.18.17.2:7000", "[2001:db8:17::2]:7000"}
)

// inner makes a host behind a bridge of the gateway's, with a server. It answers only what the port is translated for.
func (c *recipeRun) inner(name, bridge string) {
	c.t.Helper()
	inside := c.Host(name)
	port, link := c.Join(c.Gateway, "veth0", inside, "eth0")
	c.Gateway.Bridge(bridge, port).Addr("198.18.17.1/24", "2001:db8:17::1/64")
	link.Addr("198.18.17.2/24", "2001:db8:17::2/64")
	inside.Run("ip", "route", "add", "default", "via", "198.18.17.1")
	inside.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:17::1")
	box.ServeAll(inside)
	c.inside = inside
	c.kinds = []world.Kind{world.KindTCP}
}

func (c *recipeRun) docker() {
	c.t.Helper()
	c.inner("container", "docker0")
	c.eachFamily([][2]string{insideNet, insideHost, insideTo, {"127.0.0.0/8", "::1/128"}},
		"@iptables -t nat -N DOCKER",
		"@iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
		"@iptables -t nat -A OUTPUT ! -d @3 -m addrtype --dst-type LOCAL -j DOCKER",
		"@iptables -t nat -A POSTROUTING -s @0 ! -o docker0 -j MASQUERADE",
		"@iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 7000 -j DNAT --to-destination @2",
		"@iptables -t raw -A PREROUTING -d @1 ! -i docker0 -j DROP",
		"@iptables -P FORWARD DROP",
		"@iptables -N DOCKER", "@iptables -N DOCKER-USER", "@iptables -N DOCKER-FORWARD",
		"@iptables -A FORWARD -j DOCKER-USER", "@iptables -A FORWARD -j DOCKER-FORWARD",
		"@iptables -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"@iptables -A DOCKER-FORWARD -o docker0 -j DOCKER",
		"@iptables -A DOCKER-FORWARD -i docker0 -j ACCEPT",
		"@iptables -A DOCKER -d @1 ! -i docker0 -o docker0 -p tcp -m tcp --dport 7000 -j ACCEPT",
		"@iptables -A DOCKER ! -i docker0 -o docker0 -j DROP")
}

// kubernetes adds a service of type NodePort, as kube-proxy does in mode iptables.
func (c *recipeRun) kubernetes() {
	c.t.Helper()
	c.inner("pod", "cni0")
	lines := []string{"@iptables -N KUBE-FORWARD", "@iptables -A FORWARD -j KUBE-FORWARD",
		"@iptables -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
		"@iptables -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
		"@iptables -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}
	for _, chain := range []string{"SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ", "EXT-WEB", "SVC-WEB", "SEP-WEB"} {
		lines = append(lines, "@iptables -t nat -N KUBE-"+chain)
	}
	c.eachFamily([][2]string{insideHost, insideTo}, append(lines,
		"@iptables -t nat -A PREROUTING -j KUBE-SERVICES", "@iptables -t nat -A OUTPUT -j KUBE-SERVICES",
		"@iptables -t nat -A POSTROUTING -j KUBE-POSTROUTING",
		"@iptables -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
		"@iptables -t nat -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
		"@iptables -t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully",
		"@iptables -t nat -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
		"@iptables -t nat -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
		"@iptables -t nat -A KUBE-NODEPORTS -p tcp -m tcp --dport 7000 -j KUBE-EXT-WEB",
		"@iptables -t nat -A KUBE-EXT-WEB -j KUBE-MARK-MASQ", "@iptables -t nat -A KUBE-EXT-WEB -j KUBE-SVC-WEB",
		"@iptables -t nat -A KUBE-SVC-WEB -j KUBE-SEP-WEB",
		"@iptables -t nat -A KUBE-SEP-WEB -s @0 -j KUBE-MARK-MASQ",
		"@iptables -t nat -A KUBE-SEP-WEB -p tcp -m tcp -j DNAT --to-destination @1")...)
}

// tailscale adds the rules of a host with an exit node: packets without a specific route in main leave by the tunnel.
func (c *recipeRun) tailscale() {
	c.t.Helper()
	box.ServeAll(c.Gateway)
	c.commands("ip link add tailscale0 type bridge", "ip link set tailscale0 up")
	c.eachFamily([][2]string{{"198.18.100.0/24", "2001:db8:100::/64"}},
		"@ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main",
		"@ip rule add priority 5230 fwmark 0x80000/0xff0000 lookup default",
		"@ip rule add priority 5250 fwmark 0x80000/0xff0000 unreachable",
		"@ip rule add priority 5270 lookup 52",
		"@ip route add @0 dev tailscale0 table 52", "@ip route add default dev tailscale0 table 52",
		"@iptables -N ts-input", "@iptables -I INPUT -j ts-input", "@iptables -A ts-input -s @0 ! -i tailscale0 -j DROP",
		"@iptables -N ts-forward", "@iptables -I FORWARD -j ts-forward",
		"@iptables -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000",
		"@iptables -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT",
		"@iptables -t nat -N ts-postrouting", "@iptables -t nat -I POSTROUTING -j ts-postrouting",
		"@iptables -t nat -A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE",
		"@iptables -t mangle -I PREROUTING -m conntrack --ctstate RELATED,ESTABLISHED -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000",
		"@iptables -t mangle -I OUTPUT -m conntrack --ctstate NEW -m mark ! --mark 0x0/0xff0000 -j CONNMARK --save-mark --nfmask 0xff0000 --ctmask 0xff0000")
}

// firewalld adds firewalld's source check for IPv6, IPv6_rpfilter=strict.
func (c *recipeRun) firewalld() {
	c.t.Helper()
	box.ServeAll(c.Gateway)
	c.Gateway.SetSysctl("net.ipv4.conf.all.rp_filter", "1")
	for _, line := range []string{
		"add table inet firewalld",
		"add chain inet firewalld filter_PREROUTING { type filter hook prerouting priority filter + 10; policy accept; }",
		"add rule inet firewalld filter_PREROUTING icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept",
		"add rule inet firewalld filter_PREROUTING meta nfproto ipv6 fib saddr . mark . iif oif missing drop",
		"add chain inet firewalld filter_INPUT { type filter hook input priority filter + 10; policy accept; }",
		"add rule inet firewalld filter_INPUT ct state { established, related } accept",
		"add rule inet firewalld filter_INPUT meta l4proto { icmp, ipv6-icmp } accept",
		"add rule inet firewalld filter_INPUT tcp dport 7000 accept",
		"add rule inet firewalld filter_INPUT udp dport 7000 accept",
		"add rule inet firewalld filter_INPUT ct state invalid drop",
		"add rule inet firewalld filter_INPUT reject with icmpx admin-prohibited",
	} {
		c.Gateway.Run("nft", line)
	}
}
