package foreign

import (
	"encoding/binary"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

func uint32Attribute(kind uint16, n uint32) []byte {
	return netfilter.Attribute(kind, binary.BigEndian.AppendUint32(nil, n))
}

func constantAttribute(kind uint16, n uint32) []byte {
	return netfilter.Attribute(kind|unix.NLA_F_NESTED, netfilter.Attribute(unix.NFTA_DATA_VALUE, binary.NativeEndian.AppendUint32(nil, n)))
}

// TestEvaluator covers expressions that the kernel of the packet tests may lack: flow offload, and registers by their
// 128-bit and 32-bit numbers.
func TestEvaluator(t *testing.T) {
	load := slices.Concat(uint32Attribute(unix.NFTA_META_KEY, unix.NFT_META_MARK), uint32Attribute(unix.NFTA_META_DREG, unix.NFT_REG_1))
	masked := slices.Concat(uint32Attribute(unix.NFTA_BITWISE_SREG, unix.NFT_REG32_00), uint32Attribute(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1),
		constantAttribute(unix.NFTA_BITWISE_MASK, 0xffff00ff), constantAttribute(unix.NFTA_BITWISE_XOR, 0x200))
	store := slices.Concat(uint32Attribute(unix.NFTA_META_KEY, unix.NFT_META_MARK), uint32Attribute(unix.NFTA_META_SREG, unix.NFT_REG_1))
	is := slices.Concat(uint32Attribute(unix.NFTA_CMP_SREG, unix.NFT_REG_1), constantAttribute(unix.NFTA_CMP_DATA, 7))
	type step struct {
		name string
		data []byte
	}
	for name, c := range map[string]struct {
		steps []step
		want  Rule
	}{
		"offloads":                {[]step{{"flow_offload", nil}}, Rule{FlowOffload: true, Text: "flow add"}},
		"a proxy of handshakes":   {[]step{{"synproxy", nil}}, Rule{SYNProxy: true, Text: "synproxy"}},
		"translates destinations": {[]step{{"nat", uint32Attribute(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT)}}, Rule{TranslatesDestination: true, Text: "dnat"}},
		"translates sources":      {[]step{{"nat", uint32Attribute(unix.NFTA_NAT_TYPE, unix.NFT_NAT_SNAT)}}, Rule{TranslatesSource: true, Text: "snat"}},
		"redirects":               {[]step{{"redir", nil}}, Rule{TranslatesDestination: true, Text: "redirect"}},
		"chooses a zone":          {[]step{{"ct", slices.Concat(uint32Attribute(unix.NFTA_CT_KEY, unix.NFT_CT_ZONE), uint32Attribute(unix.NFTA_CT_SREG, unix.NFT_REG_1))}}, Rule{Zone: true, Text: "ct zone set"}},
		"writes under a mask":     {[]step{{"meta", load}, {"bitwise", masked}, {"meta", store}}, Rule{MarkBits: 0xff00, MarkValue: 0x200, WritesMark: true, Text: "meta mark set meta mark & 0xffff00ff | 0x200"}},
		"compares the whole":      {[]step{{"meta", load}, {"cmp", is}}, Rule{MarkBits: marks.FullMask, MarkValue: 7, Text: "meta mark 0x7"}},
		"compares other words":    {[]step{{"payload", nil}, {"cmp", is}}, Rule{}},
		"wipes": {[]step{{"ct", slices.Concat(uint32Attribute(unix.NFTA_CT_KEY, unix.NFT_CT_MARK), uint32Attribute(unix.NFTA_CT_DREG, unix.NFT_REG_1))}, {"meta", store}},
			Rule{MarkBits: marks.FullMask, WritesMark: true, OverwritesMark: true, Text: "meta mark set ct mark"}},
	} {
		var f Rule
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
