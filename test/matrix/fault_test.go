package matrix

import (
	"fmt"
	"slices"
	"strings"

	"replypath/test/box"
)

// fault is one fault, planted on the gateway, and what follows from it.
type fault struct {
	name string
	once string // lines of shell that plant it, once
	each string // lines of shell for each family, with the placeholders of scene.plant
	only int    // the family of each; 0: both
	// native replaces each where the backend is nftables, whose chains have other names.
	native string

	lost    losses   // of real requests
	cause   string   // that verify names for each path with a loss; "a|b" allows both
	unknown bool     // the result of these paths is unknown, not no
	some    bool     // only the clients of one network lose replies: the result is unknown until some have strayed
	warns   string   // the cause of the warning on paths without a loss; empty: there may be none
	more    bool     // more requests are lost once the neighbours have forgotten the address
	absent  bool     // verify need not report the paths with a loss
	refused bool     // a firewall refuses the lost requests: that says nothing about reply paths
	service reaction // of the service, to paths with a loss
	doctor  string   // a finding of doctor; empty: none is needed
}

// reaction is what the service does about a fault.
type reaction int

const (
	reports   reaction = iota // the paths are not up any more
	repairs                   // it repairs its own objects
	isUnknown                 // the result of the proof is unknown
)

func (r reaction) String() string {
	return map[reaction]string{reports: "not up", repairs: "repaired", isUnknown: "unknown"}[r]
}

// plant runs the lines of a fault on the gateway.
func (f fault) plant(b *box.Box) {
	b.T.Helper()
	var lines []string
	if f.once != "" {
		lines = append(lines, placeholders(b, 4).Replace(f.once))
	}
	each := f.each
	if f.native != "" && slices.Contains(b.Settings, box.Nftables) {
		each = f.native
	}
	for _, family := range []int{4, 6} {
		if each != "" && (f.only == 0 || f.only == family) {
			lines = append(lines, placeholders(b, family).Replace(each))
		}
	}
	b.Shell(lines...)
}

// placeholders replaces the words of a fault in braces by those of the family.
func placeholders(b *box.Box, family int) *strings.Replacer {
	i := family / 6
	u0, u1 := b.Uplinks[0], b.Uplinks[1]
	pick := func(four, six string) string { return []string{four, six}[i] }
	return strings.NewReplacer(
		"{n}", fmt.Sprint(family), "{ip}", fmt.Sprintf("ip -%d", family), "{ipt}", b.IptablesName(family), "{ipt4}", b.IptablesName(4), "{ipt6}", b.IptablesName(6),
		"{f}", pick("ip", "ip6"), "{tc}", pick("ip", "ipv6"), "{icmp}", pick("icmp", "ipv6-icmp"),
		"{a0}", u0.Addrs()[i].String(), "{a1}", u1.Addrs()[i].String(),
		"{net0}", pick(u0.Prefix4.String(), u0.Prefix6.String()), "{net1}", pick(u1.Prefix4.String(), u1.Prefix6.String()),
		"{r0}", pick(u0.Router4.String(), u0.RouterLL.String())+" dev eth0", "{r1}", pick(u1.Router4.String(), u1.RouterLL.String())+" dev eth1",
		"{router1}", pick(u1.Router4.String(), u1.RouterLL.String()),
		"{other1}", pick("192.0.2.99", "fe80::99")+" dev eth1",
		"{client}", pick(b.Client4.String(), b.Client6.String()), "{clients}", pick("203.0.113.0/24", "2001:db8:c::/64"),
		"{outside}", pick("203.0.113.9:22", "[2001:db8:c::9]:22"), "{lan}", pick("198.18.0.0/24", "2001:db8:f::/64"), "{host}", pick(b.LAN4.String(), b.LAN6.String()),
		"{ttl}", pick("ttl", "hoplimit"), "{TTL}", pick("TTL --ttl-set", "HL --hl-set"), "{at}", pick("ipv4_addr", "ipv6_addr"), "{all}", pick("0.0.0.0/0", "::/0"),
	)
}

// By table 99, packets leave by the other uplink.
const (
	byFirst  = "{ip} route add default via {r0} table 99; "
	bySecond = "{ip} route add default via {r1} table 99; "
)
