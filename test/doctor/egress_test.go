package doctor

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// toEgress adds a chain for what leaves by eth1.
const toEgress = "nft add table netdev t; nft 'add chain netdev t e { type filter hook egress device eth1 priority 0; }'; "

// egressCases are what takes packets after replypath has routed them.
var egressCases = map[string]findingCase{
	"a chain at the egress of an uplink that forwards": {id: "egress-rule", severity: box.IsError, anyBackend: true,
		cause:    toEgress + "nft add rule netdev t e meta protocol ip counter fwd to eth0",
		words:    []string{"after replypath has routed them"},
		evidence: []string{`netdev t e: meta protocol ip fwd to "eth0"`},
		remedy:   "delete those rules", cure: "nft delete table netdev t"},
	"a chain at the egress of an uplink that drops": {id: "egress-rule", severity: box.IsError, anyBackend: true,
		cause:    "nft add table netdev t; nft 'add chain netdev t e { type filter hook egress device eth1 priority 0; policy drop; }'; nft add rule netdev t e 'meta protocol != { ip, ip6 } accept'",
		evidence: []string{"netdev t e: policy drop"},
		remedy:   "delete those rules", cure: "nft delete table netdev t"},
	"a chain at the egress of an uplink that drops a port": {id: "egress-rule", severity: box.IsWarning, anyBackend: true,
		cause:    toEgress + "nft add chain netdev t d; nft add rule netdev t e jump d; nft add rule netdev t d tcp sport 5-9 drop",
		evidence: []string{"netdev t d: tcp sport 5-9 drop"},
		remedy:   "delete those rules", cure: "nft delete table netdev t"},
	"a rewritten source": {id: "egress-rule", severity: box.IsError, anyBackend: true,
		cause:    "nft add table ip t; nft 'add chain ip t p { type filter hook postrouting priority 50; }'; nft add rule ip t p oifname eth1 ip saddr set 198.51.100.2",
		evidence: []string{`ip t p: oifname "eth1" ip saddr set 198.51.100.2`},
		remedy:   "delete those rules", cure: "nft delete table ip t"},
	"a drop in POSTROUTING": {id: "egress-rule", severity: box.IsError,
		cause:    "iptables -t mangle -N own-out; iptables -t mangle -A POSTROUTING -o eth1 -j own-out; iptables -t mangle -A own-out -j DROP",
		evidence: []string{"mangle own-out: -A own-out -j DROP"},
		remedy:   "delete those rules", cure: "iptables -t mangle -F POSTROUTING; iptables -t mangle -F own-out"},
	"a filter that redirects all": {id: "traffic-control", severity: box.IsError, anyBackend: true,
		cause:    "tc qdisc add dev eth1 clsact; tc filter add dev eth1 egress pref 7 protocol ip u32 match u32 0 0 action mirred egress redirect dev eth0",
		evidence: []string{"tc filter dev eth1 egress pref 7 u32: redirects the packet to eth0"},
		remedy:   "tc filter del", cure: "tc qdisc del dev eth1 clsact"},
	"a filter that redirects a port": {id: "traffic-control", severity: box.IsWarning, anyBackend: true,
		cause:    "tc qdisc add dev eth1 root handle 1: htb; tc filter add dev eth1 parent 1: pref 5 protocol ip u32 match ip sport 8080 0xffff action mirred egress redirect dev eth0",
		evidence: []string{"tc filter dev eth1 parent 1: pref 5 u32: redirects the packet to eth0"},
		remedy:   "tc filter del", cure: "tc filter del dev eth1 parent 1: pref 5"},
	"a policy that blocks": {id: "ipsec-policy", severity: box.IsWarning, anyBackend: true,
		cause:    "ip xfrm policy add src 192.0.2.2/32 dst 203.0.113.0/24 dir out action block",
		evidence: []string{"ip xfrm policy: src 192.0.2.2/32 dst 203.0.113.0/24 dir out action block priority 0"},
		remedy:   "restrict those policies", cure: "ip xfrm policy flush"},
	"a policy that blocks all": {id: "ipsec-policy", severity: box.IsError, anyBackend: true,
		cause:    "ip xfrm policy add src ::/0 dst ::/0 dir out action block priority 9",
		evidence: []string{"src ::/0 dst ::/0 dir out action block priority 9"},
		remedy:   "restrict those policies", cure: "ip xfrm policy flush"},
	"a policy that blocks requests": {id: "ipsec-policy", severity: box.IsError, anyBackend: true,
		cause:    "ip xfrm policy add dst 192.0.2.2/32 dir in action block",
		words:    []string{"block requests"},
		evidence: []string{"ip xfrm policy: src 0.0.0.0/0 dst 192.0.2.2/32 dir in action block"},
		remedy:   "restrict those policies", cure: "ip xfrm policy flush"},
	"a policy that blocks what the LAN forwards": {id: "ipsec-policy", severity: box.IsError, anyBackend: true,
		cause:    "ip -6 xfrm policy add src 2001:db8:f::/64 dir fwd action block",
		evidence: []string{"ip xfrm policy: src 2001:db8:f::/64 dst ::/0 dir fwd action block"},
		remedy:   "restrict those policies", cure: "ip xfrm policy flush"},
	"a permanent wrong neighbour": {id: "neighbour", severity: box.IsError, anyBackend: true,
		cause:    "ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:99 dev eth1 nud permanent",
		words:    []string{"permanent neighbour entry of isp1's gateway"},
		evidence: []string{"ip neigh: 192.0.2.1 dev eth1 lladdr 02:00:00:00:00:99 PERMANENT", "it replies from 02:"},
		remedy:   "ip neigh del 192.0.2.1 dev eth1"},
	"a permanent wrong neighbour, IPv6": {id: "neighbour", severity: box.IsError, anyBackend: true,
		cause:    "ip neigh replace fe80::1 lladdr 02:00:00:00:00:99 dev eth1 nud permanent",
		evidence: []string{"ip neigh: fe80::1 dev eth1 lladdr 02:00:00:00:00:99 PERMANENT", "it replies from 02:"},
		remedy:   "ip neigh del fe80::1 dev eth1"},
	"ARP is off": {id: "arp-off", severity: box.IsError, anyBackend: true,
		cause:    "ip link set dev eth1 arp off",
		evidence: []string{"eth1 has the flag NOARP"},
		remedy:   "ip link set dev eth1 arp on"},
}

func TestDoctorReportsWhatIsBehindTheRoutes(t *testing.T) {
	t.Parallel()
	runFindingCases(t, egressCases)
}

// harmlessEgress shapes, mirrors and counts, translates the addresses of new connections, and has chains for other links.
const harmlessEgress = `
tc qdisc add dev eth1 root handle 1: htb default 10
tc class add dev eth1 parent 1: classid 1:10 htb rate 100mbit
tc filter add dev eth1 parent 1: pref 1 protocol ip u32 match ip sport 443 0xffff flowid 1:10
ip link add ifb0 type ifb; ip link set ifb0 up
tc qdisc add dev eth0 clsact
tc filter add dev eth0 egress protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb0
tc filter add dev eth1 parent 1: pref 2 protocol ipv6 u32 match u32 0 0 action mirred egress mirror dev ifb0
tc qdisc add dev lan0 clsact
tc filter add dev lan0 egress protocol ipv6 u32 match ip6 dport 9 0xffff action mirred egress redirect dev eth0
nft add table netdev t; nft 'add chain netdev t l { type filter hook egress device lan0 priority 0; }'; nft add rule netdev t l tcp sport 9 drop
nft 'add chain netdev t e { type filter hook egress device eth1 priority 0; }'; nft add rule netdev t e meta protocol ip counter meta mark set 6
nft add table ip t; nft 'add chain ip t p { type filter hook postrouting priority 50; }'; nft add rule ip t p oifname lan0 tcp dport 9 drop; nft add rule ip t p oifname eth1 counter accept
iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE
iptables -t mangle -A POSTROUTING -o eth1 -p tcp -j CLASSIFY --set-class 1:10
iptables -t mangle -A POSTROUTING -o eth1 -p tcp --sport 443 -j MARK --set-mark 6
ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out tmpl src 192.0.2.2 dst 203.0.113.7 proto esp mode tunnel
ip xfrm policy add src 0.0.0.0/0 dst 10.9.0.0/16 dir out action block
ip xfrm policy add src 10.9.0.0/16 dst 0.0.0.0/0 dir in action block
ip xfrm policy add src 10.9.0.0/16 dst 198.18.0.0/24 dir fwd action block
`

func TestDoctorReportsNothingOfShapersAndTunnels(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	serveGatewayAndLAN(b)
	b.Apply()
	p, before := b.RecordEgress(), b.RunDoctor()
	sh(b, harmlessEgress)
	wantNewFindings(b, before, b.RunDoctor())
	if wrong := brokenReplies(b, p, false); len(wrong) > 0 {
		t.Errorf("replies: %s", wrong)
	}
}
