package iptables

import (
	"encoding/binary"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// loadLink is an expression that loads the name or the number of a packet's link into a register.
func (e *evaluator) loadLink(data []byte) bool {
	var name *string
	switch uint32Of(data, unix.NFTA_META_KEY) {
	case unix.NFT_META_IIF, unix.NFT_META_IIFNAME:
		name = &e.rule.In
	case unix.NFT_META_OIF, unix.NFT_META_OIFNAME:
		name = &e.rule.Out
	default:
		return false
	}
	e.registers[registerOf(data, unix.NFTA_META_DREG)] = registerValue{link: name}
	return true
}

// matchLink notes the link that the rule holds for, when it is compared with one alone. Of numbers only that of lo is the
// same everywhere.
func (e *evaluator) matchLink(data []byte) {
	name := e.registers[registerOf(data, unix.NFTA_CMP_SREG)].link
	if name == nil || uint32Of(data, unix.NFTA_CMP_OP) != unix.NFT_CMP_EQ {
		return
	}
	v := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	switch {
	case len(v) == 4 && binary.NativeEndian.Uint32(v) == loopbackIndex:
		*name = "lo"
	case len(v) == unix.IFNAMSIZ:
		*name = unix.ByteSliceToString(v)
	case len(v) != 4:
		*name = string(v) + "+" // what the name begins with, as iptables has it
	}
}

// loopbackIndex is the number of lo in every network namespace.
const loopbackIndex = 1

// evalOption is an expression that looks at an option of the packet, or writes it.
func (e *evaluator) evalOption(data []byte) {
	kind := nlattr.Find(data, unix.NFTA_EXTHDR_TYPE)
	if uint32Of(data, exthdrSource) != 0 && uint32Of(data, exthdrOp) == tcpOption && len(kind) == 1 && kind[0] == maxSegment {
		e.rule.ClampsMSS = true
		e.addTerm("tcp option maxseg size set")
	}
}

// The attributes of an option that is written, and which option it is (linux/netfilter/nf_tables.h, RFC 9293).
const (
	exthdrOp     = 6
	exthdrSource = 7
	tcpOption    = 1
	maxSegment   = 2
)
