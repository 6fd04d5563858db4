package iptables

import (
	"encoding/binary"
	"fmt"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// evaluator follows what a rule of nftables does with marks, from register to register.
type evaluator struct {
	rule      *marks.ForeignRule
	registers map[uint32]registerValue
	terms     []string // what of the rule can concern ours, in nft(8)'s words
}

// registerValue is what a register holds: bits of a mark, or a constant.
type registerValue struct {
	source string     // meta mark, ct mark; empty: a constant
	link   *string    // where the name of a link belongs that the register is compared with
	kept   marks.Mask // the bits of that mark that are as they were
	value  uint32     // of a constant, or of the bits that were changed
}

// eval goes on by one expression.
func (e *evaluator) eval(name string, data []byte) {
	switch name {
	case "meta":
		if e.loadLink(data) {
			return
		}
		e.evalMark("meta mark", data, unix.NFTA_META_KEY, unix.NFT_META_MARK, unix.NFTA_META_DREG, unix.NFTA_META_SREG)
	case "ct":
		e.evalMark("ct mark", data, unix.NFTA_CT_KEY, unix.NFT_CT_MARK, unix.NFTA_CT_DREG, unix.NFTA_CT_SREG)
	case "immediate":
		e.registers[registerOf(data, unix.NFTA_IMMEDIATE_DREG)] = registerValue{value: constant(data, unix.NFTA_IMMEDIATE_DATA)}
	case "bitwise":
		e.evalBitwise(data)
	case "cmp":
		e.matchLink(data)
		e.evalCompare(data, unix.NFTA_CMP_SREG, constant(data, unix.NFTA_CMP_DATA))
	case "lookup":
		e.evalCompare(data, unix.NFTA_LOOKUP_SREG, 0)
	case "fib":
		e.evalFib(data)
	case "notrack":
		e.rule.NoTrack = true
		e.addTerm("notrack")
	case "exthdr":
		e.evalOption(data)
	case "flow_offload":
		e.rule.FlowOffload = true
		e.addTerm("flow add")
	}
}

func (e *evaluator) addTerm(format string, args ...any) {
	e.terms = append(e.terms, fmt.Sprintf(format, args...))
}

// evalMark is an expression that loads a mark into a register, or writes it from one.
func (e *evaluator) evalMark(name string, data []byte, key, wantKey, destReg, sourceReg uint16) {
	target := registerOf(data, destReg)
	if uint32Of(data, key) != uint32(wantKey) {
		delete(e.registers, target)
		return
	}
	if target != 0 {
		e.registers[target] = registerValue{source: name, kept: marks.FullMask}
		return
	}
	source, known := e.registers[registerOf(data, sourceReg)]
	kept := marks.Mask(0)
	if known && source.source == name {
		kept = source.kept
	}
	e.rule.MarkBits |= marks.FullMask &^ kept
	e.rule.MarkValue |= marks.Mark(source.value)
	e.rule.WritesMark = e.rule.WritesMark || kept != marks.FullMask
	e.rule.OverwritesMark = e.rule.OverwritesMark || kept == 0
	switch {
	case source.source != "" && source.kept != marks.FullMask:
		e.addTerm("%s set %s & %s | %#x", name, source.source, source.kept, source.value)
	case source.source != "":
		e.addTerm("%s set %s", name, source.source)
	default:
		e.addTerm("%s set %#x", name, source.value)
	}
}

// evalBitwise is register & mask ^ xor; of what newer kernels have besides, two registers joined, what the first keeps counts.
func (e *evaluator) evalBitwise(data []byte) {
	h := e.registers[registerOf(data, unix.NFTA_BITWISE_SREG)]
	if mask := nlattr.Find(data, unix.NFTA_BITWISE_MASK); mask != nil {
		m, x := constant(data, unix.NFTA_BITWISE_MASK), constant(data, unix.NFTA_BITWISE_XOR)
		h.kept &= marks.Mask(m &^ x)
		h.value = h.value&m ^ x
	}
	e.registers[registerOf(data, unix.NFTA_BITWISE_DREG)] = h
}

func (e *evaluator) evalCompare(data []byte, register uint16, value uint32) {
	h := e.registers[registerOf(data, register)]
	if h.source == "" {
		return
	}
	e.rule.MarkBits |= h.kept
	e.rule.MarkValue |= marks.Mark(value)
	if h.kept == marks.FullMask {
		e.addTerm("%s %#x", h.source, value)
	} else {
		e.addTerm("%s & %s %#x", h.source, h.kept, value)
	}
}

// evalFib asks where the way back leads; with iif, only its own link is right.
func (e *evaluator) evalFib(data []byte) {
	flags := uint32Of(data, unix.NFTA_FIB_FLAGS)
	result := uint32Of(data, unix.NFTA_FIB_RESULT)
	if flags&unix.NFTA_FIB_F_SADDR == 0 || flags&unix.NFTA_FIB_F_IIF == 0 || result == unix.NFT_FIB_RESULT_ADDRTYPE {
		return
	}
	e.rule.ChecksReversePath = true
	e.rule.ChecksWithMark = flags&unix.NFTA_FIB_F_MARK != 0
	text := "fib saddr . iif oif"
	if e.rule.ChecksWithMark {
		text = "fib saddr . mark . iif oif"
	}
	e.addTerm("%s", text)
}

func uint32Of(b []byte, kind uint16) uint32 {
	v := nlattr.Find(b, kind)
	if len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// registerOf is a register as the first of the words of 32 bits that it stands for; 0: none.
func registerOf(b []byte, kind uint16) uint32 {
	r := uint32Of(b, kind)
	if r >= unix.NFT_REG_1 && r <= unix.NFT_REG_4 {
		return unix.NFT_REG32_00 + (r-unix.NFT_REG_1)*4
	}
	return r
}

// constant is a mark as it stands in the rule, in the host's order.
func constant(b []byte, kind uint16) uint32 {
	v := nlattr.Find(nlattr.Find(b, kind), unix.NFTA_DATA_VALUE)
	if len(v) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}
