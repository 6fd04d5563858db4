package decoded_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/marks/decoded"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// standard is an entry of an IPv4 table that only answers with a verdict.
func standard(verdict int32) []byte {
	e := head(112, 152)
	binary.NativeEndian.PutUint16(e[112:], 40)
	binary.NativeEndian.PutUint32(e[144:], uint32(verdict))
	return e
}

// chain is the entry that a chain's name stands in.
func chain(name string) []byte {
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

// table has PREROUTING with a jump to our chain, which returns at once.
func table() []byte {
	const accept, back = -2, -5
	return slices.Concat(standard(2*152+176), standard(accept), chain(marks.Pre), standard(back), standard(back), chain("ERROR"))
}

var hooks = decoded.Hooks{0, -1, -1, -1, -1}

func TestLegacyTableIsDecodedByChain(t *testing.T) {
	got, err := decoded.Legacy(table(), hooks, false)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if hooks := got.HookPositions(); len(hooks) != 1 || !slices.Equal(hooks[marks.Hooks[0]], []int{0}) {
		t.Errorf("hooks %v in %v", hooks, got["PREROUTING"])
	}
	want := decoded.ParsedRule{Rule: marks.Rule{Action: marks.Action{Kind: marks.Return}}, Complete: true}
	if rules := got[marks.Pre]; len(rules) != 1 || rules[0] != want {
		t.Errorf("%+v", rules)
	}
}

// A table that is cut off, or that has one byte changed, is an error or another table; what is not understood is not whole.
func TestDamagedLegacyTableIsRejected(t *testing.T) {
	whole := table()
	for n := 1; n < len(whole); n++ {
		got, err := decoded.Legacy(whole[:n], hooks, false)
		if err == nil && len(got.HookPositions()) == 1 && len(got[marks.Pre]) == 1 && n < len(whole)-176 {
			t.Errorf("%d of %d bytes read as the whole: %v", n, len(whole), got)
		}
	}
	for at := range 84 { // which packets the first rule takes
		bytes := table()
		bytes[at] ^= 0x40
		got, err := decoded.Legacy(bytes, hooks, false)
		if err == nil && len(got.HookPositions()[marks.Hooks[0]]) == 1 {
			t.Errorf("with byte %d changed it still takes every packet", at)
		}
	}
}

func TestClearCountersIgnoresOnlyCounters(t *testing.T) {
	one, other := table(), table()
	for at := 96; at < 112; at++ {
		other[at], other[152+at] = 7, 8
	}
	decoded.ClearCounters(one, false)
	decoded.ClearCounters(other, false)
	if string(one) != string(other) {
		t.Error("a counter changes a table")
	}
	other[0] = 1
	decoded.ClearCounters(other, false)
	if string(one) == string(other) {
		t.Error("an address that is asked for changes nothing")
	}
}

// expression is a part of a rule of nftables.
func expression(name string, attributes ...[]byte) []byte {
	return nfnetlink.Attribute(unix.NFTA_LIST_ELEM, slices.Concat(nfnetlink.StringAttribute(unix.NFTA_EXPR_NAME, name),
		nfnetlink.Attribute(unix.NFTA_EXPR_DATA, slices.Concat(attributes...))))
}

func uint32Of(kind uint16, n uint32) []byte {
	return nfnetlink.Attribute(kind, binary.BigEndian.AppendUint32(nil, n))
}

func rule(expressions ...[]byte) []byte {
	return slices.Concat(nfnetlink.StringAttribute(unix.NFTA_RULE_CHAIN, marks.Pre),
		nfnetlink.Attribute(unix.NFTA_RULE_EXPRESSIONS, slices.Concat(expressions...)))
}

// What follows a verdict is never reached, and what is loaded and not compared selects nothing: neither is of ours.
func TestUnknownNFTExpressionMakesRuleIncomplete(t *testing.T) {
	code := nfnetlink.Attribute(unix.NFTA_DATA_VERDICT, uint32Of(unix.NFTA_VERDICT_CODE, 0xfffffffb))
	back := expression("immediate", uint32Of(unix.NFTA_IMMEDIATE_DREG, 0), nfnetlink.Attribute(unix.NFTA_IMMEDIATE_DATA, code))
	load := expression("meta", uint32Of(unix.NFTA_META_KEY, unix.NFT_META_IIFNAME), uint32Of(unix.NFTA_META_DREG, 1))
	link := nfnetlink.Attribute(unix.NFTA_CMP_DATA, nfnetlink.Attribute(unix.NFTA_DATA_VALUE, []byte("eth0\x00")))
	compare := expression("cmp", uint32Of(unix.NFTA_CMP_SREG, 1), uint32Of(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ), link)
	differ := expression("cmp", uint32Of(unix.NFTA_CMP_SREG, 1), uint32Of(unix.NFTA_CMP_OP, unix.NFT_CMP_NEQ), link)
	count := expression("counter")
	comment := nfnetlink.Attribute(unix.NFTA_RULE_USERDATA, []byte{0, 2, 'x', 0})
	for name, c := range map[string]struct {
		rule  []byte
		whole bool
	}{
		"a return":                     {rule(count, back), true},
		"a return by a link":           {rule(load, compare, count, back), true},
		"one by all other links":       {rule(load, differ, count, back), false},
		"a link that is not compared":  {rule(load, count, back), false},
		"a link compared at the end":   {rule(load, back, compare), false},
		"a link compared twice":        {rule(load, compare, load, compare, back), false},
		"nothing loaded and compared":  {rule(compare, back), false},
		"two verdicts":                 {rule(back, back), false},
		"what nobody knows":            {rule(expression("quota"), back), false},
		"a comment":                    {slices.Concat(rule(count, back), comment), false},
		"a match without a name":       {rule(expression("match"), back), false},
		"a verdict without a code":     {rule(expression("immediate", uint32Of(unix.NFTA_IMMEDIATE_DREG, 0))), false},
		"nothing at all: it lets pass": {rule(), true},
	} {
		got := decoded.NFT(nil, [][]byte{c.rule})[marks.Pre]
		if len(got) != 1 || got[0].Complete != c.whole {
			t.Errorf("%s: %+v, want whole: %v", name, got, c.whole)
		}
	}
}

func FuzzLegacy(f *testing.F) {
	f.Add(table(), 0, false)
	f.Add(table(), 152, true)
	f.Add(append(table(), table()...), -1, false)
	f.Fuzz(func(t *testing.T, table []byte, hook int, ipv6 bool) {
		got, err := decoded.Legacy(table, decoded.Hooks{0, hook, -1, hook / 2, -1}, ipv6)
		if err == nil {
			checkRoundTrip(t, got)
		}
		decoded.ClearCounters(table, ipv6)
	})
}

func FuzzNFT(f *testing.F) {
	f.Add(nfnetlink.StringAttribute(unix.NFTA_CHAIN_NAME, marks.Pre), rule(expression("counter")))
	f.Add([]byte{}, rule(expression("meta", uint32Of(unix.NFTA_META_KEY, unix.NFT_META_MARK), uint32Of(unix.NFTA_META_DREG, 1)),
		expression("bitwise"), expression("cmp"), expression("match"), expression("target"), expression("immediate")))
	f.Fuzz(func(t *testing.T, chain, rule []byte) {
		checkRoundTrip(t, decoded.NFT([][]byte{chain}, [][]byte{rule}))
	})
}

// checkRoundTrip sees that what is taken for a rule of ours is one that we can write.
func checkRoundTrip(t *testing.T, table decoded.Table) {
	for _, rules := range table {
		for _, r := range rules {
			if got, err := marks.ParseRule(r.String()); r.Complete && (err != nil || got != r.Rule) {
				t.Errorf("%+v is written %q, and that reads as %+v, %v", r, r, got, err)
			}
		}
	}
}
