package decoded

import (
	"bytes"
	"encoding/binary"

	"replypath/marks"
	"replypath/marks/nfnetlink"

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
	inName    = source{"meta", unix.NFT_META_IIFNAME}
	outName   = source{"meta", unix.NFT_META_OIFNAME}
	mark      = source{"meta", unix.NFT_META_MARK}
	direction = source{"ct", unix.NFT_CT_DIRECTION}
	status    = source{"ct", unix.NFT_CT_STATUS}
)

// load is the expressions meta and ct, whose attributes have the same numbers. iptables asks for a connection by a match
// instead.
func (n *nftReader) load(by string, data []byte) bool {
	r := register{number(data, unix.NFTA_META_DREG), source{by, number(data, unix.NFTA_META_KEY)}, 0xffffffff}
	if n.held != (register{}) || r.number == 0 {
		return false
	}
	n.held = r
	switch r.source {
	case inName:
		return n.rule.In == ""
	case outName:
		return n.rule.Out == ""
	case mark:
		return n.rule.Fwmark == marks.MarkTest{}
	case direction:
		n.rule.Native = true
		return n.rule.Dir == ""
	case status:
		n.rule.Native = true
		return !n.rule.Young
	}
	return false
}

// bitwiseOp is which operation a bitwise expression is: mask and xor are the first (linux/netfilter/nf_tables.h,
// NFTA_BITWISE_OP).
const bitwiseOp = 6

// cut is the expression bitwise, as far as it leaves bits of a mark or of a connection's status out.
func (r *register) cut(data []byte) bool {
	bits, masked := word(data, unix.NFTA_BITWISE_MASK)
	turned, whole := word(data, unix.NFTA_BITWISE_XOR)
	if r.source != mark && r.source != status || r.mask != 0xffffffff || !masked || !whole || bits == 0 || turned != 0 ||
		number(data, unix.NFTA_BITWISE_SREG) != r.number || number(data, unix.NFTA_BITWISE_DREG) != r.number ||
		number(data, bitwiseOp) != 0 {
		return false
	}
	r.mask = bits
	return true
}

// compare is the expression cmp.
func (n *nftReader) compare(data []byte) bool {
	held := n.held
	n.held = register{}
	operation := nfnetlink.Value(data, unix.NFTA_CMP_OP)
	if held.number == 0 || number(data, unix.NFTA_CMP_SREG) != held.number || len(operation) != 4 {
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
	known := false
	switch held.source {
	case inName:
		n.rule.In, known = comparedName(data)
	case outName:
		n.rule.Out, known = comparedName(data)
	case mark:
		var value uint32
		value, known = word(data, unix.NFTA_CMP_DATA)
		n.rule.Fwmark = marks.MarkTest{Not: not, Mark: marks.Mark(value), Mask: marks.Mask(held.mask)}
		not = false
	case direction:
		n.rule.Dir, known = comparedDirection(data)
	case status:
		value, whole := word(data, unix.NFTA_CMP_DATA)
		known = whole && value == 0 && held.mask == assured
		n.rule.Young = known
	}
	return known && !not
}

// comparedDirection is which way a connection's packet goes (enum ip_conntrack_dir).
func comparedDirection(data []byte) (text string, known bool) {
	value := nfnetlink.Value(nfnetlink.Value(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	if len(value) != 1 || value[0] > 1 {
		return "", false
	}
	return [...]string{"ORIGINAL", "REPLY"}[value[0]], true
}

// comparedName is a link's name: with its end, or the beginning that it must have.
func comparedName(data []byte) (text string, known bool) {
	value := nfnetlink.Value(nfnetlink.Value(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	name := bytes.TrimRight(value, "\x00")
	switch {
	case len(value) > unix.IFNAMSIZ:
		return "", false
	case len(name) == len(value):
		return begins(string(name))
	}
	return exactly(string(name))
}

// word is a constant of 32 bits, in the host's order.
func word(attributes []byte, kind uint16) (n uint32, known bool) {
	v := nfnetlink.Value(nfnetlink.Value(attributes, kind), unix.NFTA_DATA_VALUE)
	if len(v) != 4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(v), true
}
