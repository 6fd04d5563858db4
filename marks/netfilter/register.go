package netfilter

import (
	"bytes"
	"encoding/binary"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// register is a value that a rule has loaded and not compared yet. The zero register is empty.
type register struct {
	number uint32
	source
	mask uint32 // the bits that bitwise expressions kept
	bit  uint8  // of sourceField: marks.PacketMatch.SrcBit
}

// source identifies the property that is loaded: expression and key (enum nft_meta_keys, enum nft_ct_keys).
type source struct {
	expression string
	key        uint32
}

var (
	iifname     = source{"meta", unix.NFT_META_IIFNAME}
	oifname     = source{"meta", unix.NFT_META_OIFNAME}
	metaMark    = source{"meta", unix.NFT_META_MARK}
	ctDirection = source{"ct", unix.NFT_CT_DIRECTION}
	ctStatus    = source{"ct", unix.NFT_CT_STATUS}
)

// load decodes the expressions meta and ct, whose attributes have the same numbers. iptables writes a match conntrack
// instead of ct, so ct marks the rule as written by nft(8).
func (n *nftDecoder) load(expression string, data []byte) bool {
	r := register{FindUint32(data, unix.NFTA_META_DREG), source{expression, FindUint32(data, unix.NFTA_META_KEY)}, 0xffffffff, 0}
	if n.register != (register{}) || r.number == 0 {
		return false
	}
	n.register = r
	switch r.source {
	case iifname:
		return n.rule.In == ""
	case oifname:
		return n.rule.Out == ""
	case metaMark:
		return n.rule.Fwmark == marks.MarkMatch{}
	case l4proto:
		return n.rule.Packet.Proto == ""
	case ctDirection:
		n.rule.NativeNFT = true
		return n.rule.Dir == ""
	case ctStatus:
		n.rule.NativeNFT = true
		return !n.rule.NotAssured
	}
	return false
}

// bitwiseOp is the attribute NFTA_BITWISE_OP (linux/netfilter/nf_tables.h). Its value 0 is "mask and xor".
const bitwiseOp = 6

// applyBitwise decodes an expression bitwise that masks a mark or a connection's status.
func (r *register) applyBitwise(data []byte) bool {
	if r.source == sourceField {
		return r.maskSource(data)
	}
	mask, hasMask := FindConstant(data, unix.NFTA_BITWISE_MASK)
	xor, hasXor := FindConstant(data, unix.NFTA_BITWISE_XOR)
	if r.source != metaMark && r.source != ctStatus || r.mask != 0xffffffff || !hasMask || !hasXor || mask == 0 || xor != 0 ||
		FindUint32(data, unix.NFTA_BITWISE_SREG) != r.number || FindUint32(data, unix.NFTA_BITWISE_DREG) != r.number ||
		FindUint32(data, bitwiseOp) != 0 {
		return false
	}
	r.mask = mask
	return true
}

// compare decodes the expression cmp, which consumes the register.
func (n *nftDecoder) compare(data []byte) bool {
	reg := n.register
	n.register = register{}
	operation := nlattr.Find(data, unix.NFTA_CMP_OP)
	if reg.number == 0 || FindUint32(data, unix.NFTA_CMP_SREG) != reg.number || len(operation) != 4 {
		return false
	}
	not := false
	switch binary.BigEndian.Uint32(operation) {
	case unix.NFT_CMP_EQ:
	case unix.NFT_CMP_NEQ:
		not = true
	default:
		return false
	}
	ok := false
	switch reg.source {
	case iifname:
		n.rule.In, ok = compareName(data)
		n.rule.NotIn, not = not, false
	case oifname:
		n.rule.Out, ok = compareName(data)
	case metaMark:
		var value uint32
		value, ok = FindConstant(data, unix.NFTA_CMP_DATA)
		n.rule.Fwmark = marks.MarkMatch{Not: not, Mark: marks.Mark(value), Mask: marks.Mask(reg.mask)}
		not = false
	case sourceField:
		n.rule.Packet.SrcBit, ok = reg.compareSource(data)
	case l4proto, protocolField:
		n.rule.Packet.Proto, ok = n.compareProtocol(data)
	case ctDirection:
		n.rule.Dir, ok = compareDirection(data)
	case ctStatus:
		value, isConstant := FindConstant(data, unix.NFTA_CMP_DATA)
		ok = isConstant && value == 0 && reg.mask == marks.ConnAssured
		n.rule.NotAssured = ok
	}
	return ok && !not
}

// compareDirection returns the direction in a connection that cmp compares with (enum ip_conntrack_dir).
func compareDirection(data []byte) (dir string, ok bool) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	if len(value) != 1 || value[0] > 1 {
		return "", false
	}
	return [...]string{"ORIGINAL", "REPLY"}[value[0]], true
}

// compareName returns the link's name that cmp compares with. A name without its terminating zero is a prefix.
func compareName(data []byte) (name string, ok bool) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	trimmed := bytes.TrimRight(value, "\x00")
	switch {
	case len(value) > unix.IFNAMSIZ:
		return "", false
	case len(trimmed) == len(value):
		return linkPrefix(string(trimmed))
	}
	return linkName(string(trimmed))
}
