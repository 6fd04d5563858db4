package foreign

import (
	"encoding/binary"
	"fmt"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// loadLink evaluates an expression that loads the name or index of a packet's link into a register.
func (e *evaluator) loadLink(data []byte) bool {
	var name *string
	switch netfilter.FindUint32(data, unix.NFTA_META_KEY) {
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

// matchLink records the link that the rule is limited to, if it compares with a single one. Of indexes only that of lo
// is the same in every network namespace.
func (e *evaluator) matchLink(data []byte) {
	name := e.registers[registerOf(data, unix.NFTA_CMP_SREG)].link
	if name == nil || netfilter.FindUint32(data, unix.NFTA_CMP_OP) != unix.NFT_CMP_EQ {
		return
	}
	v := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	switch {
	case len(v) == 4 && binary.NativeEndian.Uint32(v) == loopbackIndex:
		*name = "lo"
	case len(v) == unix.IFNAMSIZ:
		*name = unix.ByteSliceToString(v)
	case len(v) != 4:
		*name = string(v) + "+" // a prefix, in the syntax of iptables
	}
}

// loadGroup evaluates an expression that loads the group of a packet's link into a register.
func (e *evaluator) loadGroup(data []byte) bool {
	var group *string
	switch netfilter.FindUint32(data, unix.NFTA_META_KEY) {
	case unix.NFT_META_IIFGROUP:
		group = &e.rule.InGroup
	case unix.NFT_META_OIFGROUP:
		group = &e.rule.OutGroup
	default:
		return false
	}
	e.registers[registerOf(data, unix.NFTA_META_DREG)] = registerValue{group: group, kept: marks.FullMask}
	return true
}

// matchGroup records the link group that the rule compares.
func (e *evaluator) matchGroup(data []byte) {
	v := e.registers[registerOf(data, unix.NFTA_CMP_SREG)]
	if v.group == nil {
		return
	}
	text := fmt.Sprintf("%#x", constant(data, unix.NFTA_CMP_DATA))
	if v.kept != marks.FullMask {
		text += "/" + v.kept.String()
	}
	e.recordGroup(v, text)
}

// matchGroupSet records that the rule compares a link group with the elements of a set.
func (e *evaluator) matchGroupSet(data []byte) {
	if v := e.registers[registerOf(data, unix.NFTA_LOOKUP_SREG)]; v.group != nil {
		e.recordGroup(v, AnyGroup)
	}
}

func (e *evaluator) recordGroup(v registerValue, text string) {
	*v.group = text
	name := "iifgroup"
	if v.group == &e.rule.OutGroup {
		name = "oifgroup"
	}
	e.addTerm("%s %s", name, text)
}

// loopbackIndex is the index of lo in every network namespace.
const loopbackIndex = 1

// evalOption evaluates an expression that reads or writes an option of the packet.
func (e *evaluator) evalOption(data []byte) {
	kind := nlattr.Find(data, unix.NFTA_EXTHDR_TYPE)
	writes := netfilter.FindUint32(data, exthdrSource) != 0
	if writes && netfilter.FindUint32(data, exthdrOp) == tcpOption && len(kind) == 1 && kind[0] == maxSegment {
		e.rule.ClampsMSS = true
		e.addTerm("tcp option maxseg size set")
	}
}

// NFTA_EXTHDR_OP, NFTA_EXTHDR_SREG, NFT_EXTHDR_OP_TCPOPT (linux/netfilter/nf_tables.h), and the option kind of the
// maximum segment size (RFC 9293).
const (
	exthdrOp     = 6
	exthdrSource = 7
	tcpOption    = 1
	maxSegment   = 2
)
