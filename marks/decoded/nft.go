package decoded

import (
	"encoding/binary"
	"strings"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// NFT reads a table of nftables, given the attributes of its chains and of its rules. A base chain that is named as ours
// are is none of ours: it begins with a rule that is not whole.
func NFT(chains, rules [][]byte) Table {
	t := make(Table, len(chains))
	for _, c := range chains {
		name := unix.ByteSliceToString(nfnetlink.Value(c, unix.NFTA_CHAIN_NAME))
		t[name] = nil
		if nfnetlink.Value(c, unix.NFTA_CHAIN_HOOK) != nil && strings.HasPrefix(name, marks.Prefix) {
			t[name] = []Rule{{}}
		}
	}
	for _, r := range rules {
		chain, rule := nftRule(r)
		t[chain] = append(t[chain], rule)
	}
	return t
}

// nftRule gives a rule and the chain that it is in. A comment, which nobody can act on, is more than we write.
func nftRule(attributes []byte) (chain string, r Rule) {
	reader := nftReader{rule: Rule{Whole: true}}
	for kind, value := range nfnetlink.Attributes(attributes) {
		switch kind {
		case unix.NFTA_RULE_CHAIN:
			chain = unix.ByteSliceToString(value)
		case unix.NFTA_RULE_EXPRESSIONS:
			for _, element := range nfnetlink.Attributes(value) {
				reader.take(element)
			}
		case unix.NFTA_RULE_COMPAT:
			reader.rule.Whole = reader.rule.Whole && number(value, unix.NFTA_RULE_COMPAT_PROTO) == 0
		case unix.NFTA_RULE_USERDATA:
			reader.rule.Whole = false
		case unix.NFTA_RULE_HANDLE:
			if len(value) == 8 {
				reader.rule.Handle = binary.BigEndian.Uint64(value)
			}
		}
	}
	reader.rule.Whole = reader.rule.Whole && reader.held == register{}
	return chain, reader.rule
}

// nftReader follows a rule's expressions.
type nftReader struct {
	rule  Rule
	held  register
	ended bool // by a target
}

func (n *nftReader) take(element []byte) {
	data := nfnetlink.Value(element, unix.NFTA_EXPR_DATA)
	known := false
	switch name := unix.ByteSliceToString(nfnetlink.Value(element, unix.NFTA_EXPR_NAME)); name {
	case "counter":
		known = true
	case "meta", "ct":
		known = !n.ended && n.load(name, data)
	case "bitwise":
		known = !n.ended && n.held.cut(data)
	case "cmp":
		known = !n.ended && n.compare(data)
	case "match":
		known = !n.ended && nftExtension(data).match(&n.rule.Rule)
	case "target":
		n.rule.Target, known = nftExtension(data).target()
		known, n.ended = known && !n.ended, true
	case "immediate":
		n.rule.Target, known = verdict(data)
		known, n.ended = known && !n.ended, true
	}
	n.rule.Whole = n.rule.Whole && known
}

// nftExtension is what iptables wraps into an expression. The attributes of a match and of a target have the same numbers.
func nftExtension(data []byte) extension {
	return extension{
		name:     unix.ByteSliceToString(nfnetlink.Value(data, unix.NFTA_MATCH_NAME)),
		revision: uint8(number(data, unix.NFTA_MATCH_REV)),
		info:     nfnetlink.Value(data, unix.NFTA_MATCH_INFO),
	}
}

// verdict reads what becomes of the packet.
func verdict(data []byte) (t marks.Target, known bool) {
	v := nfnetlink.Value(nfnetlink.Value(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT)
	chain := unix.ByteSliceToString(nfnetlink.Value(v, unix.NFTA_VERDICT_CHAIN))
	switch int32(number(v, unix.NFTA_VERDICT_CODE)) {
	case unix.NFT_JUMP:
		return to(marks.Jump, chain)
	case unix.NFT_GOTO:
		return to(marks.Goto, chain)
	case unix.NFT_RETURN:
		return marks.Target{Verb: marks.Return}, true
	}
	return t, false
}

// number is an attribute's, 0 when it is none.
func number(attributes []byte, kind uint16) uint32 {
	v := nfnetlink.Value(attributes, kind)
	if len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}
