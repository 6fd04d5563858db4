package decoded

import (
	"encoding/binary"
	"strings"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// NFT reads a table of nftables, given the attributes of its chains and of its rules. A base chain that is named as ours
// are is none of ours: it begins with a rule that is not whole.
func NFT(chains, rules [][]byte) Table {
	t := make(Table, len(chains))
	for _, c := range chains {
		name := unix.ByteSliceToString(nlattr.Find(c, unix.NFTA_CHAIN_NAME))
		t[name] = nil
		if nlattr.Find(c, unix.NFTA_CHAIN_HOOK) != nil && strings.HasPrefix(name, marks.Prefix) {
			t[name] = []ParsedRule{{}}
		}
	}
	for _, r := range rules {
		chain, rule := decodeNFTRule(r)
		t[chain] = append(t[chain], rule)
	}
	return t
}

// decodeNFTRule gives a rule and the chain that it is in. A comment, which nobody can act on, is more than we write.
func decodeNFTRule(attributes []byte) (chain string, r ParsedRule) {
	decoder := nftDecoder{rule: ParsedRule{Complete: true}}
	for kind, value := range nlattr.All(attributes) {
		switch kind {
		case unix.NFTA_RULE_CHAIN:
			chain = unix.ByteSliceToString(value)
		case unix.NFTA_RULE_EXPRESSIONS:
			for _, element := range nlattr.All(value) {
				decoder.addExpression(element)
			}
		case unix.NFTA_RULE_COMPAT:
			decoder.rule.Complete = decoder.rule.Complete && uint32Of(value, unix.NFTA_RULE_COMPAT_PROTO) == 0
		case unix.NFTA_RULE_USERDATA:
			decoder.rule.Complete = false
		case unix.NFTA_RULE_HANDLE:
			if len(value) == 8 {
				decoder.rule.Handle = binary.BigEndian.Uint64(value)
			}
		}
	}
	decoder.rule.Complete = decoder.rule.Complete && decoder.register == register{}
	return chain, decoder.rule
}

// nftDecoder follows a rule's expressions.
type nftDecoder struct {
	rule       ParsedRule
	register   register
	terminated bool // by a target
}

func (n *nftDecoder) addExpression(element []byte) {
	data := nlattr.Find(element, unix.NFTA_EXPR_DATA)
	ok := false
	switch name := unix.ByteSliceToString(nlattr.Find(element, unix.NFTA_EXPR_NAME)); name {
	case "counter":
		ok = true
	case "meta", "ct":
		ok = !n.terminated && n.load(name, data)
	case "bitwise":
		ok = !n.terminated && n.register.applyBitwise(data)
	case "cmp":
		ok = !n.terminated && n.compare(data)
	case "match":
		ok = !n.terminated && nftExtension(data).decodeMatch(&n.rule.Rule)
	case "target":
		n.rule.Action, ok = nftExtension(data).decodeTarget()
		ok, n.terminated = ok && !n.terminated, true
	case "immediate":
		n.rule.Action, ok = decodeVerdict(data)
		ok, n.terminated = ok && !n.terminated, true
	}
	n.rule.Complete = n.rule.Complete && ok
}

// nftExtension is what iptables wraps into an expression. The attributes of a match and of a target have the same numbers.
func nftExtension(data []byte) extension {
	return extension{
		name:     unix.ByteSliceToString(nlattr.Find(data, unix.NFTA_MATCH_NAME)),
		revision: uint8(uint32Of(data, unix.NFTA_MATCH_REV)),
		info:     nlattr.Find(data, unix.NFTA_MATCH_INFO),
	}
}

// decodeVerdict reads what becomes of the packet.
func decodeVerdict(data []byte) (t marks.Action, ok bool) {
	v := nlattr.Find(nlattr.Find(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT)
	chain := unix.ByteSliceToString(nlattr.Find(v, unix.NFTA_VERDICT_CHAIN))
	switch int32(uint32Of(v, unix.NFTA_VERDICT_CODE)) {
	case unix.NFT_JUMP:
		return ownChainAction(marks.Jump, chain)
	case unix.NFT_GOTO:
		return ownChainAction(marks.Goto, chain)
	case unix.NFT_RETURN:
		return marks.Action{Kind: marks.Return}, true
	}
	return t, false
}

// uint32Of is an attribute's, 0 when it is none.
func uint32Of(attributes []byte, kind uint16) uint32 {
	v := nlattr.Find(attributes, kind)
	if len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}
