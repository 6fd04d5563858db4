package netfilter

import (
	"encoding/binary"
	"strings"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Decode decodes the rules of the table. A base chain with the prefix of replypath is not one that it wrote: its first
// rule is incomplete.
func (d Dump) Decode() Table {
	t := make(Table, len(d.Chains))
	for _, c := range d.Chains {
		name := FindString(c, unix.NFTA_CHAIN_NAME)
		t[name] = nil
		if nlattr.Find(c, unix.NFTA_CHAIN_HOOK) != nil && strings.HasPrefix(name, marks.Prefix) {
			t[name] = []ParsedRule{{}}
		}
	}
	for _, r := range d.Rules {
		chain, rule := decodeNFTRule(r, d.Family == unix.NFPROTO_IPV6)
		t[chain] = append(t[chain], rule)
	}
	return t
}

// decodeNFTRule returns a rule and the name of its chain. A rule with a comment (NFTA_RULE_USERDATA) is incomplete.
func decodeNFTRule(attributes []byte, ipv6 bool) (chain string, r ParsedRule) {
	decoder := nftDecoder{rule: ParsedRule{Complete: true}, ipv6: ipv6}
	var compat []byte
	for kind, value := range nlattr.All(attributes) {
		switch kind {
		case unix.NFTA_RULE_CHAIN:
			chain = unix.ByteSliceToString(value)
		case unix.NFTA_RULE_EXPRESSIONS:
			for _, element := range nlattr.All(value) {
				decoder.addExpression(element)
			}
		case unix.NFTA_RULE_COMPAT:
			compat = value
		case unix.NFTA_RULE_USERDATA:
			decoder.rule.Complete = false
		case unix.NFTA_RULE_HANDLE:
			if len(value) == 8 {
				decoder.rule.Handle = binary.BigEndian.Uint64(value)
			}
		}
	}
	decoder.rule.Complete = decoder.rule.Complete && decoder.register == register{} && decoder.isCompatible(compat)
	return chain, decoder.rule
}

// nftDecoder decodes a rule expression by expression.
type nftDecoder struct {
	rule       ParsedRule
	register   register
	ipv6       bool
	terminated bool // the action was decoded: no expression may follow it
}

// addExpression decodes one expression. One that replypath does not write makes the rule incomplete.
func (n *nftDecoder) addExpression(element []byte) {
	data := nlattr.Find(element, unix.NFTA_EXPR_DATA)
	ok := false
	switch name := FindString(element, unix.NFTA_EXPR_NAME); name {
	case CounterExpression:
		ok = true
	case "meta", "ct":
		ok = !n.terminated && n.load(name, data)
	case "payload":
		ok = !n.terminated && (n.loadSource(data) || n.loadProtocol(data))
	case "bitwise":
		ok = !n.terminated && n.register.applyBitwise(data)
	case "cmp":
		ok = !n.terminated && n.compare(data)
	case "match":
		ok = !n.terminated && nftExtension(data).decodeMatch(&n.rule.Rule, n.ipv6)
	case "target":
		n.rule.Action, ok = nftExtension(data).decodeTarget()
		ok, n.terminated = ok && !n.terminated, true
	case "immediate":
		n.rule.Action, ok = decodeVerdict(data)
		ok, n.terminated = ok && !n.terminated, true
	}
	n.rule.Complete = n.rule.Complete && ok
}

// nftExtension returns the xtables extension in an expression "match" or "target", whose attributes have the same
// numbers.
func nftExtension(data []byte) extension {
	return extension{
		name:     FindString(data, unix.NFTA_MATCH_NAME),
		revision: uint8(FindUint32(data, unix.NFTA_MATCH_REV)),
		info:     nlattr.Find(data, unix.NFTA_MATCH_INFO),
	}
}

// decodeVerdict decodes the verdict of an expression "immediate".
func decodeVerdict(data []byte) (a marks.Action, ok bool) {
	v := nlattr.Find(nlattr.Find(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT)
	chain := FindString(v, unix.NFTA_VERDICT_CHAIN)
	switch int32(FindUint32(v, unix.NFTA_VERDICT_CODE)) {
	case unix.NFT_JUMP:
		return ownChainAction(marks.Jump, chain)
	case unix.NFT_GOTO:
		return ownChainAction(marks.Goto, chain)
	case unix.NFT_RETURN:
		return marks.Action{Kind: marks.Return}, true
	}
	return a, false
}
