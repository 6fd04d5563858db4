package xtables

import (
	"encoding/binary"

	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// link is an expression that loads the name or the number of a packet's link into a register.
func (e *evaluation) link(data []byte) bool {
	var to *string
	switch word(data, unix.NFTA_META_KEY) {
	case unix.NFT_META_IIF, unix.NFT_META_IIFNAME:
		to = &e.rule.In
	case unix.NFT_META_OIF, unix.NFT_META_OIFNAME:
		to = &e.rule.Out
	default:
		return false
	}
	e.held[registerOf(data, unix.NFTA_META_DREG)] = held{link: to}
	return true
}

// limit notes the link that the rule holds for, when it is compared with one alone. Of numbers only that of lo is the
// same everywhere.
func (e *evaluation) limit(data []byte) {
	to := e.held[registerOf(data, unix.NFTA_CMP_SREG)].link
	if to == nil || word(data, unix.NFTA_CMP_OP) != unix.NFT_CMP_EQ {
		return
	}
	v := nfnetlink.Value(nfnetlink.Value(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	switch {
	case len(v) == 4 && binary.NativeEndian.Uint32(v) == loopback:
		*to = "lo"
	case len(v) == unix.IFNAMSIZ:
		*to = unix.ByteSliceToString(v)
	case len(v) != 4:
		*to = string(v) + "+" // what the name begins with, as iptables has it
	}
}

// loopback is the number of lo in every network namespace.
const loopback = 1

// clamp is an expression that looks at an option of the packet, or writes it.
func (e *evaluation) clamp(data []byte) {
	kind := nfnetlink.Value(data, unix.NFTA_EXTHDR_TYPE)
	if word(data, exthdrSource) != 0 && word(data, exthdrOp) == tcpOption && len(kind) == 1 && kind[0] == maxSegment {
		e.rule.Clamps = true
		e.say("tcp option maxseg size set")
	}
}

// The attributes of an option that is written, and which option it is (linux/netfilter/nf_tables.h, RFC 9293).
const (
	exthdrOp     = 6
	exthdrSource = 7
	tcpOption    = 1
	maxSegment   = 2
)
