package netfilter_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// standard encodes an entry of an IPv4 table whose standard target has this verdict.
func standard(verdict int32) []byte {
	e := head(112, 152)
	binary.NativeEndian.PutUint16(e[112:], 40)
	binary.NativeEndian.PutUint32(e[144:], uint32(verdict))
	return e
}

// chainHead encodes the entry that precedes a user-defined chain and holds its name.
func chainHead(name string) []byte {
	e := head(112, 176)
	binary.NativeEndian.PutUint16(e[112:], 64)
	copy(e[114:], "ERROR")
	copy(e[144:], name)
	return e
}

func head(target, next uint16) []byte {
	e := make([]byte, next)
	binary.NativeEndian.PutUint16(e[88:], target)
	binary.NativeEndian.PutUint16(e[90:], next)
	return e
}

// table encodes a table whose PREROUTING jumps to Pre, which has one rule: return.
func table() []byte {
	const accept, back = -2, -5
	return slices.Concat(standard(2*152+176), standard(accept), chainHead(marks.Pre), standard(back), standard(back), chainHead("ERROR"))
}

var hooks = netfilter.Hooks{0, -1, -1, -1, -1}

func TestLegacyTableIsDecodedByChain(t *testing.T) {
	got, err := netfilter.DecodeLegacy(table(), hooks, false)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if hooks := got.HookPositions(); len(hooks) != 1 || !slices.Equal(hooks[marks.Hooks[0]], []int{0}) {
		t.Errorf("hooks %v in %v", hooks, got["PREROUTING"])
	}
	want := netfilter.ParsedRule{Rule: marks.Rule{Action: marks.Action{Kind: marks.Return}}, Complete: true}
	if rules := got[marks.Pre]; len(rules) != 1 || rules[0] != want {
		t.Errorf("%+v", rules)
	}
}

// A table that is truncated, or that has one bit of its first rule's selectors changed, is an error or decodes
// differently.
func TestDamagedLegacyTableIsRejected(t *testing.T) {
	whole := table()
	for n := 1; n < len(whole); n++ {
		got, err := netfilter.DecodeLegacy(whole[:n], hooks, false)
		if err == nil && len(got.HookPositions()) == 1 && len(got[marks.Pre]) == 1 && n < len(whole)-176 {
			t.Errorf("%d of %d bytes decode as the complete table: %v", n, len(whole), got)
		}
	}
	for at := range 84 { // struct ipt_ip
		bytes := table()
		bytes[at] ^= 0x40
		got, err := netfilter.DecodeLegacy(bytes, hooks, false)
		if err == nil && len(got.HookPositions()[marks.Hooks[0]]) == 1 {
			t.Errorf("with byte %d changed the first rule still matches every packet", at)
		}
	}
}

func TestClearCountersIgnoresOnlyCounters(t *testing.T) {
	one, other := table(), table()
	for at := 96; at < 112; at++ {
		other[at], other[152+at] = 7, 8
	}
	netfilter.ClearCounters(one, false)
	netfilter.ClearCounters(other, false)
	if string(one) != string(other) {
		t.Error("counters make tables differ")
	}
	other[0] = 1
	netfilter.ClearCounters(other, false)
	if string(one) == string(other) {
		t.Error("tables with different addresses are equal")
	}
}

// expression encodes an expression of nftables.
func expression(name string, attributes ...[]byte) []byte {
	return netfilter.Attribute(unix.NFTA_LIST_ELEM, slices.Concat(netfilter.StringAttribute(unix.NFTA_EXPR_NAME, name),
		netfilter.Attribute(unix.NFTA_EXPR_DATA, slices.Concat(attributes...))))
}

func uint32Attribute(kind uint16, n uint32) []byte {
	return netfilter.Attribute(kind, binary.BigEndian.AppendUint32(nil, n))
}

func rule(expressions ...[]byte) []byte {
	return slices.Concat(netfilter.StringAttribute(unix.NFTA_RULE_CHAIN, marks.Pre),
		netfilter.Attribute(unix.NFTA_RULE_EXPRESSIONS, slices.Concat(expressions...)))
}

// Expressions after a verdict are never evaluated, and a value that is loaded and not compared selects nothing:
// replypath writes neither.
func TestUnknownNFTExpressionMakesRuleIncomplete(t *testing.T) {
	code := netfilter.Attribute(unix.NFTA_DATA_VERDICT, uint32Attribute(unix.NFTA_VERDICT_CODE, 0xfffffffb))
	back := expression("immediate", uint32Attribute(unix.NFTA_IMMEDIATE_DREG, 0), netfilter.Attribute(unix.NFTA_IMMEDIATE_DATA, code))
	load := expression("meta", uint32Attribute(unix.NFTA_META_KEY, unix.NFT_META_IIFNAME), uint32Attribute(unix.NFTA_META_DREG, 1))
	link := netfilter.Attribute(unix.NFTA_CMP_DATA, netfilter.Attribute(unix.NFTA_DATA_VALUE, []byte("eth0\x00")))
	compare := expression("cmp", uint32Attribute(unix.NFTA_CMP_SREG, 1), uint32Attribute(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ), link)
	differ := expression("cmp", uint32Attribute(unix.NFTA_CMP_SREG, 1), uint32Attribute(unix.NFTA_CMP_OP, unix.NFT_CMP_NEQ), link)
	number := func(n byte) []byte {
		return expression("cmp", uint32Attribute(unix.NFTA_CMP_SREG, 1), uint32Attribute(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ),
			netfilter.Attribute(unix.NFTA_CMP_DATA, netfilter.Attribute(unix.NFTA_DATA_VALUE, []byte{n})))
	}
	protocol := expression("meta", uint32Attribute(unix.NFTA_META_KEY, unix.NFT_META_L4PROTO), uint32Attribute(unix.NFTA_META_DREG, 1))
	field := func(offset uint32) []byte {
		return expression("payload", uint32Attribute(unix.NFTA_PAYLOAD_DREG, 1), uint32Attribute(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_NETWORK_HEADER),
			uint32Attribute(unix.NFTA_PAYLOAD_OFFSET, offset), uint32Attribute(unix.NFTA_PAYLOAD_LEN, 1))
	}
	given := func(protocol, flags uint32) []byte {
		return netfilter.Attribute(unix.NFTA_RULE_COMPAT, slices.Concat(uint32Attribute(unix.NFTA_RULE_COMPAT_PROTO, protocol), uint32Attribute(unix.NFTA_RULE_COMPAT_FLAGS, flags)))
	}
	count := expression("counter")
	comment := netfilter.Attribute(unix.NFTA_RULE_USERDATA, []byte{0, 2, 'x', 0})
	for name, c := range map[string]struct {
		rule     []byte
		complete bool
	}{
		"a return":                    {rule(count, back), true},
		"a return by a link":          {rule(load, compare, count, back), true},
		"one by all other links":      {rule(load, differ, count, back), true},
		"a link that is not compared": {rule(load, count, back), false},
		"a link compared at the end":  {rule(load, back, compare), false},
		"a link compared twice":       {rule(load, compare, load, compare, back), false},
		"nothing loaded and compared": {rule(compare, back), false},
		"two verdicts":                {rule(back, back), false},
		"an unknown expression":       {rule(expression("quota"), back), false},
		"a comment":                   {slices.Concat(rule(count, back), comment), false},
		"a match without a name":      {rule(expression("match"), back), false},
		"a verdict without a code":    {rule(expression("immediate", uint32Attribute(unix.NFTA_IMMEDIATE_DREG, 0))), false},
		"no expression":               {rule(), true},

		"ICMP":                                {rule(protocol, number(unix.IPPROTO_ICMP), count, back), true},
		"ICMP, of which extensions are given": {slices.Concat(rule(protocol, number(unix.IPPROTO_ICMP), count, back), given(unix.IPPROTO_ICMP, 0)), true},
		"ICMP by its field in the header":     {rule(field(9), number(unix.IPPROTO_ICMP), count, back), true},
		"ICMP twice":                          {rule(protocol, number(unix.IPPROTO_ICMP), field(9), number(unix.IPPROTO_ICMP), back), false},
		"another field":                       {rule(field(8), number(unix.IPPROTO_ICMP), back), false},
		"another protocol":                    {rule(protocol, number(unix.IPPROTO_TCP), back), false},
		"ICMP of the other family":            {rule(protocol, number(unix.IPPROTO_ICMPV6), back), false},
		"extensions that see ICMP only":       {slices.Concat(rule(count, back), given(unix.IPPROTO_ICMP, 0)), false},
		"extensions that see another one":     {slices.Concat(rule(protocol, number(unix.IPPROTO_ICMP), back), given(unix.IPPROTO_TCP, 0)), false},
		"extensions that see all but ICMP":    {slices.Concat(rule(protocol, number(unix.IPPROTO_ICMP), back), given(unix.IPPROTO_ICMP, 2)), false},
	} {
		got := netfilter.Dump{Chains: nil, Rules: [][]byte{c.rule}}.Decode()[marks.Pre]
		if len(got) != 1 || got[0].Complete != c.complete {
			t.Errorf("%s: %+v, want complete: %v", name, got, c.complete)
		}
	}
}

func FuzzLegacy(f *testing.F) {
	f.Add(table(), 0, false)
	f.Add(table(), 152, true)
	f.Add(append(table(), table()...), -1, false)
	f.Fuzz(func(t *testing.T, table []byte, hook int, ipv6 bool) {
		got, err := netfilter.DecodeLegacy(table, netfilter.Hooks{0, hook, -1, hook / 2, -1}, ipv6)
		if err == nil {
			checkRoundTrip(t, got)
		}
		netfilter.ClearCounters(table, ipv6)
	})
}

func FuzzNFT(f *testing.F) {
	f.Add(netfilter.StringAttribute(unix.NFTA_CHAIN_NAME, marks.Pre), rule(expression("counter")))
	f.Add([]byte{}, rule(expression("meta", uint32Attribute(unix.NFTA_META_KEY, unix.NFT_META_MARK), uint32Attribute(unix.NFTA_META_DREG, 1)),
		expression("bitwise"), expression("cmp"), expression("match"), expression("target"), expression("immediate")))
	f.Fuzz(func(t *testing.T, chain, rule []byte) {
		checkRoundTrip(t, netfilter.Dump{Chains: [][]byte{chain}, Rules: [][]byte{rule}}.Decode())
	})
}

// checkRoundTrip checks that complete rules are rules that package marks writes.
func checkRoundTrip(t *testing.T, table netfilter.Table) {
	for _, rules := range table {
		for _, r := range rules {
			if got, err := marks.ParseRule(r.String()); r.Complete && (err != nil || got != r.Rule) {
				t.Errorf("%+v is written %q, and that reads as %+v, %v", r, r, got, err)
			}
		}
	}
}
