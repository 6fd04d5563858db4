package iptables

import (
	"encoding/binary"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

func number(kind uint16, n uint32) []byte {
	return nfnetlink.Attribute(kind, binary.BigEndian.AppendUint32(nil, n))
}

func value(kind uint16, n uint32) []byte {
	return nfnetlink.Attribute(kind|unix.NLA_F_NESTED, nfnetlink.Attribute(unix.NFTA_DATA_VALUE, binary.NativeEndian.AppendUint32(nil, n)))
}

// What the kernel of the packet tests may not have: offload, and a mark from a register by its old number and its new.
func TestEvaluator(t *testing.T) {
	load := slices.Concat(number(unix.NFTA_META_KEY, unix.NFT_META_MARK), number(unix.NFTA_META_DREG, unix.NFT_REG_1))
	masked := slices.Concat(number(unix.NFTA_BITWISE_SREG, unix.NFT_REG32_00), number(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1),
		value(unix.NFTA_BITWISE_MASK, 0xffff00ff), value(unix.NFTA_BITWISE_XOR, 0x200))
	store := slices.Concat(number(unix.NFTA_META_KEY, unix.NFT_META_MARK), number(unix.NFTA_META_SREG, unix.NFT_REG_1))
	is := slices.Concat(number(unix.NFTA_CMP_SREG, unix.NFT_REG_1), value(unix.NFTA_CMP_DATA, 7))
	type step struct {
		name string
		data []byte
	}
	for name, c := range map[string]struct {
		steps []step
		want  marks.ForeignRule
	}{
		"offloads":             {[]step{{"flow_offload", nil}}, marks.ForeignRule{FlowOffload: true, Text: "flow add"}},
		"writes under a mask":  {[]step{{"meta", load}, {"bitwise", masked}, {"meta", store}}, marks.ForeignRule{MarkBits: 0xff00, MarkValue: 0x200, WritesMark: true, Text: "meta mark set meta mark & 0xffff00ff | 0x200"}},
		"compares the whole":   {[]step{{"meta", load}, {"cmp", is}}, marks.ForeignRule{MarkBits: marks.FullMask, MarkValue: 7, Text: "meta mark 0x7"}},
		"compares other words": {[]step{{"payload", nil}, {"cmp", is}}, marks.ForeignRule{}},
		"wipes": {[]step{{"ct", slices.Concat(number(unix.NFTA_CT_KEY, unix.NFT_CT_MARK), number(unix.NFTA_CT_DREG, unix.NFT_REG_1))}, {"meta", store}},
			marks.ForeignRule{MarkBits: marks.FullMask, WritesMark: true, OverwritesMark: true, Text: "meta mark set ct mark"}},
	} {
		var f marks.ForeignRule
		e := evaluator{rule: &f, registers: map[uint32]registerValue{}}
		for _, s := range c.steps {
			e.eval(s.name, s.data)
		}
		for _, stderr := range e.terms {
			f.Text += stderr
		}
		if f != c.want {
			t.Errorf("%s: %+v, want %+v", name, f, c.want)
		}
	}
}
