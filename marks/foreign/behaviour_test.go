package foreign

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

func ruleOf(expressions ...[]byte) []byte {
	return netfilter.Attribute(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, slices.Concat(expressions...))
}

func expr(name string, attributes ...[]byte) []byte {
	return netfilter.Attribute(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, slices.Concat(netfilter.StringAttribute(unix.NFTA_EXPR_NAME, name),
		netfilter.Attribute(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, slices.Concat(attributes...))))
}

func data(kind uint16, value ...byte) []byte {
	return netfilter.Attribute(kind|unix.NLA_F_NESTED, netfilter.Attribute(unix.NFTA_DATA_VALUE, value))
}

func loadMeta(key uint32) []byte {
	return expr("meta", uint32Attribute(unix.NFTA_META_KEY, key), uint32Attribute(unix.NFTA_META_DREG, unix.NFT_REG32_00))
}

func loadHeader(base, offset, length, register uint32) []byte {
	return expr("payload", uint32Attribute(unix.NFTA_PAYLOAD_BASE, base), uint32Attribute(unix.NFTA_PAYLOAD_OFFSET, offset), uint32Attribute(unix.NFTA_PAYLOAD_LEN, length), uint32Attribute(unix.NFTA_PAYLOAD_DREG, register))
}

func compare(operation uint32, value ...byte) []byte {
	return expr("cmp", uint32Attribute(unix.NFTA_CMP_SREG, unix.NFT_REG32_00), uint32Attribute(unix.NFTA_CMP_OP, operation), data(unix.NFTA_CMP_DATA, value...))
}

func constantIn(register uint32, value ...byte) []byte {
	return expr("immediate", uint32Attribute(unix.NFTA_IMMEDIATE_DREG, register), data(unix.NFTA_IMMEDIATE_DATA, value...))
}

func verdictOf(code int32, chain string) []byte {
	v := uint32Attribute(unix.NFTA_VERDICT_CODE, uint32(code))
	if chain != "" {
		v = append(v, netfilter.StringAttribute(unix.NFTA_VERDICT_CHAIN, chain)...)
	}
	return expr("immediate", uint32Attribute(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT), netfilter.Attribute(unix.NFTA_IMMEDIATE_DATA|unix.NLA_F_NESTED, netfilter.Attribute(unix.NFTA_DATA_VERDICT|unix.NLA_F_NESTED, v)))
}

// writeSource writes the first register to the source address.
func writeSource(offset, length uint32) []byte {
	return expr("payload", uint32Attribute(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_NETWORK_HEADER), uint32Attribute(unix.NFTA_PAYLOAD_OFFSET, offset), uint32Attribute(unix.NFTA_PAYLOAD_LEN, length), uint32Attribute(unix.NFTA_PAYLOAD_SREG, unix.NFT_REG32_00))
}

func TestReadBehaviour(t *testing.T) {
	const ip, th = unix.NFT_PAYLOAD_NETWORK_HEADER, unix.NFT_PAYLOAD_TRANSPORT_HEADER
	eth1 := append([]byte("eth1"), make([]byte, 12)...)
	index := nativeIndex(7)
	mask := expr("bitwise", uint32Attribute(unix.NFTA_BITWISE_SREG, unix.NFT_REG32_00), uint32Attribute(unix.NFTA_BITWISE_DREG, unix.NFT_REG32_00), data(unix.NFTA_BITWISE_MASK, 0xff, 0xff, 0xff, 0xc0), data(unix.NFTA_BITWISE_XOR, 0, 0, 0, 0))
	lookup := func(set string) []byte {
		return expr("lookup", netfilter.StringAttribute(unix.NFTA_LOOKUP_SET, set), uint32Attribute(unix.NFTA_LOOKUP_SREG, unix.NFT_REG32_00))
	}
	for _, c := range []struct {
		rule []byte
		want Behaviour
	}{
		{ruleOf(verdictOf(0, "")), Behaviour{Text: "drop", Drops: true, LinksOnly: true}},
		{ruleOf(loadMeta(unix.NFT_META_OIFNAME), compare(unix.NFT_CMP_EQ, eth1...), expr("counter"), verdictOf(1, "")), Behaviour{Text: `oifname "eth1" accept`, Accepts: true, LinksOnly: true}},
		{ruleOf(loadMeta(unix.NFT_META_OIFNAME), compare(unix.NFT_CMP_NEQ, 'p', 'p', 'p'), verdictOf(unix.NFT_JUMP, "own")), Behaviour{Text: `oifname != "ppp*" jump own`, Chain: "own", LinksOnly: true}},
		{ruleOf(loadMeta(unix.NFT_META_PROTOCOL), compare(unix.NFT_CMP_EQ, 8, 0), constantIn(unix.NFT_REG32_00, index...), expr("fwd", uint32Attribute(unix.NFTA_FWD_SREG_DEV, unix.NFT_REG32_00))),
			Behaviour{Text: `meta protocol ip fwd to "link7"`, Forwards: true, Link: 7, LinksOnly: true}},
		{ruleOf(constantIn(unix.NFT_REG32_00, 198, 51, 100, 2), writeSource(12, 4)), Behaviour{Text: "ip saddr set 198.51.100.2", Rewrites: []string{"ip saddr"}, LinksOnly: true}},
		{ruleOf(constantIn(unix.NFT_REG32_00, append([]byte{0x20, 1, 0xd, 0xb8}, make([]byte, 12)...)...), writeSource(8, 16)), Behaviour{Text: "ip6 saddr set 2001:db8::", Rewrites: []string{"ip6 saddr"}, LinksOnly: true}},
		{ruleOf(loadMeta(unix.NFT_META_L4PROTO), compare(unix.NFT_CMP_EQ, 6), loadHeader(th, 0, 2, unix.NFT_REG32_00), compare(unix.NFT_CMP_GTE, 0, 80), loadHeader(th, 0, 2, unix.NFT_REG32_00), compare(unix.NFT_CMP_LTE, 0, 90), expr("reject")),
			Behaviour{Text: "tcp sport 80-90 reject", Drops: true}},
		{ruleOf(loadHeader(ip, 16, 3, unix.NFT_REG32_00), compare(unix.NFT_CMP_EQ, 203, 0, 113), verdictOf(0, "")), Behaviour{Text: "ip daddr 203.0.113.0/24 drop", Drops: true, ByAddress: true}},
		{ruleOf(loadHeader(ip, 12, 4, unix.NFT_REG32_00), mask, compare(unix.NFT_CMP_EQ, 203, 0, 113, 64), verdictOf(unix.NFT_RETURN, "")), Behaviour{Text: "ip saddr 203.0.113.64/26 return", Returns: true, ByAddress: true}},
		{ruleOf(loadHeader(ip, 12, 4, unix.NFT_REG32_00), loadHeader(th, 2, 2, unix.NFT_REG32_01), lookup("blocked"), verdictOf(0, "")), Behaviour{Text: "ip saddr . th dport @blocked drop", Drops: true, ByAddress: true, PortSets: []PortSet{{Set: "blocked", Offset: 4}}}},
		{ruleOf(loadMeta(unix.NFT_META_IIFNAME), lookup("__set0"), verdictOf(0, "")), Behaviour{Text: "iifname { ... } drop", Drops: true, LinksOnly: true}},
		{ruleOf(expr("limit"), verdictOf(0, "")), Behaviour{Text: "limit drop", Drops: true, Counts: true}},
		{ruleOf(expr("limit"), expr("log")), Behaviour{Text: "limit log"}},
		{ruleOf(loadMeta(unix.NFT_META_OIFNAME), compare(unix.NFT_CMP_EQ, eth1...), expr("counter")), Behaviour{Text: `oifname "eth1"`, LinksOnly: true, Counts: true}},
		{ruleOf(expr("objref", uint32Attribute(1, 1)), verdictOf(1, "")), Behaviour{Text: "objref accept", Accepts: true, LinksOnly: true, Counts: true}},
		{ruleOf(expr("objref", uint32Attribute(1, 3))), Behaviour{Text: "objref", LinksOnly: true}},
		{ruleOf(expr("quota"), verdictOf(0, "")), Behaviour{Text: "quota drop", Drops: true, Counts: true}},
		{ruleOf(loadMeta(unix.NFT_META_L4PROTO), compare(unix.NFT_CMP_EQ, 1), expr("counter")), Behaviour{Text: "meta l4proto icmp"}},
		{ruleOf(expr("fib", uint32Attribute(unix.NFTA_FIB_DREG, unix.NFT_REG32_00)), compare(unix.NFT_CMP_EQ, 0), verdictOf(0, "")), Behaviour{Text: "fib 0x0 drop", Drops: true, ByAddress: true}},
		{ruleOf(expr("target", netfilter.StringAttribute(unix.NFTA_TARGET_NAME, "REJECT"))), Behaviour{Text: `xt target "REJECT"`, Drops: true, ByAddress: true}},
		{ruleOf(loadMeta(unix.NFT_META_MARK), expr("meta", uint32Attribute(unix.NFTA_META_KEY, unix.NFT_META_PRIORITY), uint32Attribute(unix.NFTA_META_SREG, unix.NFT_REG32_00))), Behaviour{Text: "meta priority set meta mark", LinksOnly: true}},
		{ruleOf(loadHeader(unix.NFT_PAYLOAD_LL_HEADER, 0, 6, unix.NFT_REG32_00), compare(unix.NFT_CMP_EQ, 2, 0, 0, 0, 0, 9), verdictOf(0, "")), Behaviour{Text: "ether daddr 02:00:00:00:00:09 drop", Drops: true}},
	} {
		got := ReadBehaviour(unix.NFPROTO_INET, c.rule, func(index int) string { return fmt.Sprintf("link%d", index) })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("got  %+v\nwant %+v", got, c.want)
		}
	}
}

func nativeIndex(n uint32) []byte { return constantAttribute(0, n)[8:12] }
