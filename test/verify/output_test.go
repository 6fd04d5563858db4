package verify

import (
	"fmt"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// nftFamily returns the name of the family in nft(8), for tables and for protocols.
func nftFamily(family int) string { return map[int]string{4: "ip", 6: "ip6"}[family] }

// atEgress adds a chain for what leaves by eth1, with one rule for the family.
func atEgress(rule string) func(b *box.Box, family int) {
	return func(b *box.Box, family int) {
		b.Shell("nft add table netdev t; nft 'add chain netdev t e { type filter hook egress device eth1 priority 0; }'",
			fmt.Sprintf("nft 'add rule netdev t e meta protocol %s %s'", nftFamily(family), rule))
	}
}

// outputCases are what other programs do to replies after replypath has routed them.
var outputCases = map[string]verifyCase{
	"a chain at egress forwards replies": {damage: atEgress("fwd to eth0"), routes: "yes", trace: "no reply-redirected",
		reason: []string{"table netdev t, chain e: meta protocol ip", `fwd to "eth0"`}, firstUplinkUnharmed: true},
	"a chain at egress drops replies": {damage: atEgress("drop"), routes: "yes", trace: "no reply-dropped",
		reason: []string{"at the egress of eth1, by table netdev t, chain e: meta protocol ip"}, firstUplinkUnharmed: true},
	"a chain at egress rewrites the source": {
		damage: func(b *box.Box, family int) {
			atEgress(fmt.Sprintf("%s saddr set %s", nftFamily(family), b.Uplinks[0].Addrs()[family/6]))(b, family)
		},
		routes: "yes", trace: "no reply-rewritten", reason: []string{"at the egress of eth1, by table netdev t, chain e: ", " saddr set "}, firstUplinkUnharmed: true},
	"a chain in POSTROUTING rewrites the source": {
		damage: func(b *box.Box, family int) {
			f := nftFamily(family)
			b.Shell(fmt.Sprintf("nft add table %s t; nft 'add chain %s t p { type filter hook postrouting priority 50; }'; nft add rule %s t p oifname eth1 %s saddr set %s", f, f, f, f, b.Uplinks[0].Addrs()[family/6]))
		},
		routes: "yes", trace: "no reply-rewritten", reason: []string{"in POSTROUTING, by table ip", `t, chain p: oifname "eth1" ip`}, firstUplinkUnharmed: true},
	"a rule in POSTROUTING drops replies": {
		damage: func(b *box.Box, family int) {
			b.Iptables(family, "-t", "mangle", "-A", "POSTROUTING", "-o", "eth1", "-j", "DROP")
		},
		routes: "yes", trace: "no reply-dropped", reason: []string{"by table mangle (ip", ", chain POSTROUTING: -A POSTROUTING -o eth1 -j DROP"}, firstUplinkUnharmed: true},
	"an IPsec policy blocks replies": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", "xfrm", "policy", "add", "src", b.Uplinks[1].Addrs()[family/6].String(), "dir", "out", "action", "block")
		},
		routes: "yes", trace: "no ipsec-policy", kind: "datagram", reason: []string{"dir out action block"}, firstUplinkUnharmed: true},
	"an IPsec policy blocks requests": {
		damage: func(b *box.Box, family int) {
			b.Gateway.Run("ip", "xfrm", "policy", "add", "dst", b.Uplinks[1].Addrs()[family/6].String(), "dir", "in", "action", "block")
		},
		routes: "yes", trace: "no ipsec-policy", reason: []string{"dir in action block"}, firstUplinkUnharmed: true},
	"the neighbour entry of the gateway is wrong": {
		damage: func(b *box.Box, family int) {
			gateway := b.Uplinks[1].Router4
			if family == 6 {
				gateway = b.Uplinks[1].RouterLL
			}
			b.Gateway.Run("ip", "neigh", "replace", gateway.String(), "lladdr", "02:00:00:00:00:99", "dev", "eth1", "nud", "permanent")
		},
		routes: "yes", trace: "no neighbour", reason: []string{"02:00:00:00:00:99 PERMANENT"}, firstUplinkUnharmed: true},
	"ARP is off": {
		damage: func(b *box.Box, _ int) { b.Gateway.Run("ip", "link", "set", "eth1", "arp", "off") },
		only:   4, routes: "yes", trace: "no arp-off", reason: []string{"ARP and neighbour discovery are off on eth1"}, firstUplinkUnharmed: true},
	"a filter redirects replies": {
		damage: func(b *box.Box, family int) {
			protocol := map[int]string{4: "ip", 6: "ipv6"}[family]
			b.Shell("tc qdisc add dev eth1 clsact", "tc filter add dev eth1 egress pref 3 protocol "+protocol+" u32 match u32 0 0 action mirred egress redirect dev eth0")
		},
		routes: "yes", trace: "no traffic-control", reason: []string{"tc filter dev eth1 egress pref 3 u32 redirects the packet to eth0"}, firstUplinkUnharmed: true},
	"the gateway is dead": {
		damage: func(b *box.Box, _ int) {
			b.Uplinks[1].Wire.Down()
			b.Uplinks[1].Wire.Host.Run("ip", "link", "set", "port0", "arp", "off")
			b.Uplinks[1].Wire.Up()
		},
		only: 4, routes: "yes", trace: "unknown neighbour", reason: []string{"which the kernel cannot resolve"}, firstUplinkUnharmed: true},
}

func TestVerifyWatchesRepliesToTheLastPlace(t *testing.T) {
	t.Parallel()
	testVerifyCases(t, outputCases)
}

// harmlessOutput shapes, mirrors, marks and counts replies behind replypath's chains.
const harmlessOutput = `
tc qdisc add dev eth1 root handle 1: htb default 10
tc class add dev eth1 parent 1: classid 1:10 htb rate 100mbit quantum 3000
tc filter add dev eth1 parent 1: pref 1 protocol ip u32 match ip sport 443 0xffff flowid 1:10
ip link add ifb0 type ifb; ip link set ifb0 up
tc qdisc add dev eth0 clsact
tc filter add dev eth0 egress protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb0
tc filter add dev eth1 parent 1: pref 2 protocol ipv6 u32 match u32 0 0 action mirred egress mirror dev ifb0
nft add table netdev t; nft 'add chain netdev t e { type filter hook egress device eth1 priority 0; }'; nft add rule netdev t e meta protocol ip counter meta mark set 6
nft add rule netdev t e tcp dport 9 drop
nft add table ip t; nft 'add chain ip t p { type filter hook postrouting priority 50; }'; nft add rule ip t p meta mark set 7
ip xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out tmpl src 192.0.2.2 dst 203.0.113.7 proto esp mode tunnel
`

func TestVerifyAcceptsShapersAndMarksBehindTheRoutes(t *testing.T) {
	t.Parallel()
	box.EachBackend(t, func(t *testing.T, backend string) {
		w := world.TwoISPs(t)
		box.ServeAll(w.Gateway)
		b := box.New(t, w, backend)
		b.Apply()
		b.Shell(harmlessOutput)
		for _, family := range []int{4, 6} {
			b.Iptables(family, "-t", "mangle", "-A", "POSTROUTING", "-o", "eth1", "-j", "MARK", "--set-mark", "0x1")
			b.Iptables(family, "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")
		}
		b.Verify().WantOK(t, 2)
		b.RecordEgress().WantRepliesFromAll(t, b.Client, world.Kinds)
	})
}
