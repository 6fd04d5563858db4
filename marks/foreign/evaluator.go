package foreign

import (
	"fmt"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// evaluator follows marks and links through the registers of one rule of nftables.
type evaluator struct {
	rule      *Rule
	registers map[uint32]registerValue // by 32-bit register
	terms     []string                 // the relevant parts of the rule in the syntax of nft(8)
	zeroMark  bool                     // the whole mark was compared with 0
	proto     byte                     // the protocol of the transport layer that was compared; 0: none
}

// registerValue is the content of a register: bits of a mark, a constant, or a link's name.
type registerValue struct {
	source string     // meta mark, ct mark; empty for a constant
	group  *string    // the field of the rule that receives the link group that the register is compared with
	link   *string    // the field of the rule that receives the name of a link that the register is compared with
	kept   marks.Mask // the bits of the source that are unchanged
	value  uint32     // the constant, or the changed bits
	proto  bool       // the protocol of the transport layer
}

// eval evaluates one expression.
func (e *evaluator) eval(name string, data []byte) {
	switch name {
	case "meta":
		if e.loadLink(data) || e.loadGroup(data) || e.loadProtocol(data) {
			return
		}
		e.evalMark("meta mark", data, unix.NFTA_META_KEY, unix.NFT_META_MARK, unix.NFTA_META_DREG, unix.NFTA_META_SREG)
	case "ct":
		e.evalZone(data)
		e.evalMark(connmark, data, unix.NFTA_CT_KEY, unix.NFT_CT_MARK, unix.NFTA_CT_DREG, unix.NFTA_CT_SREG)
	case "immediate":
		target := registerOf(data, unix.NFTA_IMMEDIATE_DREG)
		e.registers[target] = registerValue{value: constant(data, unix.NFTA_IMMEDIATE_DATA)}
		e.rule.ZeroMarkVerdict = e.rule.ZeroMarkVerdict || e.zeroMark && target == unix.NFT_REG_VERDICT
	case "nat", "redir":
		e.evalNAT(name, data)
		e.rule.ZeroMarkVerdict = e.rule.ZeroMarkVerdict || e.zeroMark
	case "synproxy":
		e.rule.SYNProxy = true
		e.addTerm("synproxy")
	case "masq":
		e.rule.TranslatesSource = true
		e.addTerm("masquerade")
		e.rule.ZeroMarkVerdict = e.rule.ZeroMarkVerdict || e.zeroMark
	case "queue":
		e.rule.Queues = readQueues(data)
		e.addTerm("queue")
		e.rule.ZeroMarkVerdict = e.rule.ZeroMarkVerdict || e.zeroMark
	case "reject", "tproxy":
		e.rule.ZeroMarkVerdict = e.rule.ZeroMarkVerdict || e.zeroMark
	case "bitwise":
		e.evalBitwise(data)
	case "cmp":
		e.matchLink(data)
		e.matchGroup(data)
		e.matchProtocol(data)
		e.evalCompare(data, unix.NFTA_CMP_SREG, constant(data, unix.NFTA_CMP_DATA))
	case "lookup":
		e.matchGroupSet(data)
		zeroMark := e.zeroMark
		e.evalCompare(data, unix.NFTA_LOOKUP_SREG, 0)
		e.zeroMark = zeroMark // the elements of the set are not known
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

// connmark is the source of registers that hold ctmark.
const connmark = "ct mark"

func (e *evaluator) addTerm(format string, args ...any) {
	e.terms = append(e.terms, fmt.Sprintf(format, args...))
}

// evalMark evaluates an expression that loads a mark into a register, or writes it from one. The parameters after data
// are the kinds of its attributes, and the key of the mark.
func (e *evaluator) evalMark(name string, data []byte, key, wantKey, destReg, sourceReg uint16) {
	target := registerOf(data, destReg)
	if netfilter.FindUint32(data, key) != uint32(wantKey) {
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
	e.rule.WritesConnmark = e.rule.WritesConnmark || name == connmark
	switch {
	case source.source != "" && source.kept != marks.FullMask:
		e.addTerm("%s set %s & %s | %#x", name, source.source, source.kept, source.value)
	case source.source != "":
		e.addTerm("%s set %s", name, source.source)
	default:
		e.addTerm("%s set %#x", name, source.value)
	}
}

// evalBitwise evaluates register & mask ^ xor. Operations on two registers, which newer kernels have, keep the bits of
// the first.
func (e *evaluator) evalBitwise(data []byte) {
	v := e.registers[registerOf(data, unix.NFTA_BITWISE_SREG)]
	if nlattr.Find(data, unix.NFTA_BITWISE_MASK) != nil {
		mask, xor := constant(data, unix.NFTA_BITWISE_MASK), constant(data, unix.NFTA_BITWISE_XOR)
		v.kept &= marks.Mask(mask &^ xor)
		v.value = v.value&mask ^ xor
	}
	e.registers[registerOf(data, unix.NFTA_BITWISE_DREG)] = v
}

func (e *evaluator) evalCompare(data []byte, register uint16, value uint32) {
	v := e.registers[registerOf(data, register)]
	if v.source == "" {
		return
	}
	e.rule.MarkBits |= v.kept
	e.rule.MarkValue |= marks.Mark(value)
	if v.kept == marks.FullMask {
		e.zeroMark = e.zeroMark || value == 0
		e.addTerm("%s %#x", v.source, value)
	} else {
		e.addTerm("%s & %s %#x", v.source, v.kept, value)
	}
}

// evalFib evaluates a look-up of the reverse path; with the flag iif it succeeds only for the packet's own link.
func (e *evaluator) evalFib(data []byte) {
	flags := netfilter.FindUint32(data, unix.NFTA_FIB_FLAGS)
	result := netfilter.FindUint32(data, unix.NFTA_FIB_RESULT)
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

// registerOf returns the first 32-bit register that an attribute selects: a 128-bit register NFT_REG_1 to NFT_REG_4
// covers four. It returns 0 if the attribute does not exist.
func registerOf(b []byte, kind uint16) uint32 {
	r := netfilter.FindUint32(b, kind)
	if r >= unix.NFT_REG_1 && r <= unix.NFT_REG_4 {
		return unix.NFT_REG32_00 + (r-unix.NFT_REG_1)*4
	}
	return r
}

// constant returns a mark in host byte order, or 0 if the attribute holds none.
func constant(b []byte, kind uint16) uint32 {
	n, _ := netfilter.FindConstant(b, kind)
	return n
}
