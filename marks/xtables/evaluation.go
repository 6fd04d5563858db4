package xtables

import (
	"encoding/binary"
	"fmt"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// evaluation follows what a rule of nftables does with marks, from register to register.
type evaluation struct {
	rule *marks.Foreign
	held map[uint32]held
	said []string // what of the rule can concern ours, in nft(8)'s words
}

// held is what a register holds: bits of a mark, or a constant.
type held struct {
	from  string     // meta mark, ct mark; empty: a constant
	link  *string    // where the name of a link belongs that the register is compared with
	kept  marks.Mask // the bits of that mark that are as they were
	value uint32     // of a constant, or of the bits that were changed
}

// take goes on by one expression.
func (e *evaluation) take(name string, data []byte) {
	switch name {
	case "meta":
		if e.link(data) {
			return
		}
		e.mark("meta mark", data, unix.NFTA_META_KEY, unix.NFT_META_MARK, unix.NFTA_META_DREG, unix.NFTA_META_SREG)
	case "ct":
		e.mark("ct mark", data, unix.NFTA_CT_KEY, unix.NFT_CT_MARK, unix.NFTA_CT_DREG, unix.NFTA_CT_SREG)
	case "immediate":
		e.held[registerOf(data, unix.NFTA_IMMEDIATE_DREG)] = held{value: constant(data, unix.NFTA_IMMEDIATE_DATA)}
	case "bitwise":
		e.bitwise(data)
	case "cmp":
		e.limit(data)
		e.compare(data, unix.NFTA_CMP_SREG, constant(data, unix.NFTA_CMP_DATA))
	case "lookup":
		e.compare(data, unix.NFTA_LOOKUP_SREG, 0)
	case "fib":
		e.fib(data)
	case "notrack":
		e.rule.Untracks = true
		e.say("notrack")
	case "exthdr":
		e.clamp(data)
	case "flow_offload":
		e.rule.Offloads = true
		e.say("flow add")
	}
}

func (e *evaluation) say(format string, args ...any) {
	e.said = append(e.said, fmt.Sprintf(format, args...))
}

// mark is an expression that loads a mark into a register, or writes it from one.
func (e *evaluation) mark(name string, data []byte, key, which, to, from uint16) {
	target := registerOf(data, to)
	if word(data, key) != uint32(which) {
		delete(e.held, target)
		return
	}
	if target != 0 {
		e.held[target] = held{from: name, kept: marks.Full}
		return
	}
	source, known := e.held[registerOf(data, from)]
	kept := marks.Mask(0)
	if known && source.from == name {
		kept = source.kept
	}
	e.rule.Bits |= marks.Full &^ kept
	e.rule.Value |= marks.Mark(source.value)
	e.rule.Writes = e.rule.Writes || kept != marks.Full
	e.rule.Wipes = e.rule.Wipes || kept == 0
	switch {
	case source.from != "" && source.kept != marks.Full:
		e.say("%s set %s & %s | %#x", name, source.from, source.kept, source.value)
	case source.from != "":
		e.say("%s set %s", name, source.from)
	default:
		e.say("%s set %#x", name, source.value)
	}
}

// bitwise is register & mask ^ xor; of what newer kernels have besides, two registers joined, what the first keeps counts.
func (e *evaluation) bitwise(data []byte) {
	h := e.held[registerOf(data, unix.NFTA_BITWISE_SREG)]
	if mask := nfnetlink.Value(data, unix.NFTA_BITWISE_MASK); mask != nil {
		m, x := constant(data, unix.NFTA_BITWISE_MASK), constant(data, unix.NFTA_BITWISE_XOR)
		h.kept &= marks.Mask(m &^ x)
		h.value = h.value&m ^ x
	}
	e.held[registerOf(data, unix.NFTA_BITWISE_DREG)] = h
}

func (e *evaluation) compare(data []byte, register uint16, value uint32) {
	h := e.held[registerOf(data, register)]
	if h.from == "" {
		return
	}
	e.rule.Bits |= h.kept
	e.rule.Value |= marks.Mark(value)
	if h.kept == marks.Full {
		e.say("%s %#x", h.from, value)
	} else {
		e.say("%s & %s %#x", h.from, h.kept, value)
	}
}

// fib asks where the way back leads; with iif, only its own link is right.
func (e *evaluation) fib(data []byte) {
	flags := word(data, unix.NFTA_FIB_FLAGS)
	result := word(data, unix.NFTA_FIB_RESULT)
	if flags&unix.NFTA_FIB_F_SADDR == 0 || flags&unix.NFTA_FIB_F_IIF == 0 || result == unix.NFT_FIB_RESULT_ADDRTYPE {
		return
	}
	e.rule.Checks = true
	e.rule.Marked = flags&unix.NFTA_FIB_F_MARK != 0
	text := "fib saddr . iif oif"
	if e.rule.Marked {
		text = "fib saddr . mark . iif oif"
	}
	e.say("%s", text)
}

func word(b []byte, kind uint16) uint32 {
	v := nfnetlink.Value(b, kind)
	if len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// registerOf is a register as the first of the words of 32 bits that it stands for; 0: none.
func registerOf(b []byte, kind uint16) uint32 {
	r := word(b, kind)
	if r >= unix.NFT_REG_1 && r <= unix.NFT_REG_4 {
		return unix.NFT_REG32_00 + (r-unix.NFT_REG_1)*4
	}
	return r
}

// constant is a mark as it stands in the rule, in the host's order.
func constant(b []byte, kind uint16) uint32 {
	v := nfnetlink.Value(nfnetlink.Value(b, kind), unix.NFTA_DATA_VALUE)
	if len(v) != 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}
