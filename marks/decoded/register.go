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
	key    uint32     // of what is loaded (enum nft_meta_keys)
	mask   marks.Mask // the bits of a mark that are left
}

// load is the expression meta.
func (n *nftReader) load(data []byte) bool {
	r := register{number(data, unix.NFTA_META_DREG), number(data, unix.NFTA_META_KEY), 0xffffffff}
	if n.held != (register{}) || r.number == 0 {
		return false
	}
	n.held = r
	switch r.key {
	case unix.NFT_META_IIFNAME:
		return n.rule.In == ""
	case unix.NFT_META_OIFNAME:
		return n.rule.Out == ""
	case unix.NFT_META_MARK:
		return n.rule.Fwmark == marks.MarkTest{}
	}
	return false
}

// bitwiseOp is which operation a bitwise expression is: mask and xor are the first (linux/netfilter/nf_tables.h,
// NFTA_BITWISE_OP).
const bitwiseOp = 6

// cut is the expression bitwise, as far as it leaves bits of a mark out.
func (r *register) cut(data []byte) bool {
	mask, masked := word(data, unix.NFTA_BITWISE_MASK)
	turned, whole := word(data, unix.NFTA_BITWISE_XOR)
	if r.key != unix.NFT_META_MARK || r.mask != 0xffffffff || !masked || !whole || mask == 0 || turned != 0 ||
		number(data, unix.NFTA_BITWISE_SREG) != r.number || number(data, unix.NFTA_BITWISE_DREG) != r.number ||
		number(data, bitwiseOp) != 0 {
		return false
	}
	r.mask = marks.Mask(mask)
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
	switch held.key {
	case unix.NFT_META_IIFNAME:
		n.rule.In, known = comparedName(data)
	case unix.NFT_META_OIFNAME:
		n.rule.Out, known = comparedName(data)
	case unix.NFT_META_MARK:
		var mark uint32
		mark, known = word(data, unix.NFTA_CMP_DATA)
		n.rule.Fwmark = marks.MarkTest{Not: not, Mark: marks.Mark(mark), Mask: held.mask}
		not = false
	}
	return known && !not
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
