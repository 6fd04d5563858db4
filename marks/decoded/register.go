package decoded

import (
	"bytes"
	"encoding/binary"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// register is what a rule of nftables has loaded, and not compared yet. The zero register holds nothing.
type register struct {
	number uint32
	source
	mask uint32 // the bits that are left
}

// source is what is loaded: the expression that does, and its key (enum nft_meta_keys, enum nft_ct_keys).
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

// load is the expressions meta and ct, whose attributes have the same numbers. iptables asks for a connection by a match
// instead.
func (n *nftDecoder) load(by string, data []byte) bool {
	r := register{uint32Of(data, unix.NFTA_META_DREG), source{by, uint32Of(data, unix.NFTA_META_KEY)}, 0xffffffff}
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
	case ctDirection:
		n.rule.NativeNFT = true
		return n.rule.Dir == ""
	case ctStatus:
		n.rule.NativeNFT = true
		return !n.rule.NotAssured
	}
	return false
}

// bitwiseOp is which operation a bitwise expression is: mask and xor are the first (linux/netfilter/nf_tables.h,
// NFTA_BITWISE_OP).
const bitwiseOp = 6

// applyBitwise is the expression bitwise, as far as it leaves bits of a mark or of a connection's status out.
func (r *register) applyBitwise(data []byte) bool {
	mask, hasMask := constant32(data, unix.NFTA_BITWISE_MASK)
	xor, hasXor := constant32(data, unix.NFTA_BITWISE_XOR)
	if r.source != metaMark && r.source != ctStatus || r.mask != 0xffffffff || !hasMask || !hasXor || mask == 0 || xor != 0 ||
		uint32Of(data, unix.NFTA_BITWISE_SREG) != r.number || uint32Of(data, unix.NFTA_BITWISE_DREG) != r.number ||
		uint32Of(data, bitwiseOp) != 0 {
		return false
	}
	r.mask = mask
	return true
}

// compare is the expression cmp.
func (n *nftDecoder) compare(data []byte) bool {
	reg := n.register
	n.register = register{}
	operation := nlattr.Find(data, unix.NFTA_CMP_OP)
	if reg.number == 0 || uint32Of(data, unix.NFTA_CMP_SREG) != reg.number || len(operation) != 4 {
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
	case oifname:
		n.rule.Out, ok = compareName(data)
	case metaMark:
		var value uint32
		value, ok = constant32(data, unix.NFTA_CMP_DATA)
		n.rule.Fwmark = marks.MarkMatch{Not: not, Mark: marks.Mark(value), Mask: marks.Mask(reg.mask)}
		not = false
	case ctDirection:
		n.rule.Dir, ok = compareDirection(data)
	case ctStatus:
		value, isConstant := constant32(data, unix.NFTA_CMP_DATA)
		ok = isConstant && value == 0 && reg.mask == assured
		n.rule.NotAssured = ok
	}
	return ok && !not
}

// compareDirection is which way a connection's packet goes (enum ip_conntrack_dir).
func compareDirection(data []byte) (text string, ok bool) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	if len(value) != 1 || value[0] > 1 {
		return "", false
	}
	return [...]string{"ORIGINAL", "REPLY"}[value[0]], true
}

// compareName is a link's name: with its end, or the beginning that it must have.
func compareName(data []byte) (text string, ok bool) {
	value := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	name := bytes.TrimRight(value, "\x00")
	switch {
	case len(value) > unix.IFNAMSIZ:
		return "", false
	case len(name) == len(value):
		return linkPrefix(string(name))
	}
	return linkName(string(name))
}

// constant32 is a constant of 32 bits, in the host's order.
func constant32(attributes []byte, kind uint16) (n uint32, ok bool) {
	v := nlattr.Find(nlattr.Find(attributes, kind), unix.NFTA_DATA_VALUE)
	if len(v) != 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(v), true
}
