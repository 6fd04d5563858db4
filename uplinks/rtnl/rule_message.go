package rtnl

import (
	"fmt"

	"replypath/marks"
	"replypath/marks/nlattr"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// fibRuleInvert is FIB_RULE_INVERT (linux/fib_rules.h).
const fibRuleInvert = 0x2

// Attributes of rules that the library does not define (linux/fib_rules.h, Linux 6.12 and later).
const (
	fraDSCP          = 25
	fraFlowLabel     = 26
	fraFlowLabelMask = 27
	fraSportMask     = 28
	fraDportMask     = 29
	fraDSCPMask      = 30
)

// The bits of the type of service that a rule compares: IPv4 only those of RFC 1349, IPv6 all but the two of ECN.
const (
	tosMask4 = 0x1c
	tosMask6 = 0xfc
)

// rawRule is a rule as the kernel sends it.
type rawRule struct {
	rpdb.Rule
	unwritten string // the fields and attributes that replypath never writes, as uplinks.Rule.Other has them
}

// parseRule decodes a message about a rule of the family, from behind its header on (struct fib_rule_hdr, and attributes).
// Both the look-up simulation and the comparison with our own rules use its result, so that they agree on every rule. The
// library's decoder forgets the action and most attributes: a rule of ours that another program changed would look intact.
func parseRule(m []byte, f uplinks.Family) (r rawRule, err error) {
	if len(m) < unix.SizeofRtMsg {
		return r, fmt.Errorf("a rule of %d bytes: %w", len(m), unix.EBADMSG)
	}
	header := nl.DeserializeRtMsg(m)
	r.Rule = rpdb.Rule{Family: f, Action: uplinks.Action(header.Type), Not: header.Flags&fibRuleInvert != 0, Table: uplinks.Table(header.Table),
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress, TOS: header.Tos}
	if header.Tos != 0 {
		r.TOSMask = map[uplinks.Family]uint8{uplinks.IPv4: tosMask4, uplinks.IPv6: tosMask6}[f]
	}
	var unwritten []byte
	for attrType, v := range nlattr.All(m[unix.SizeofRtMsg:]) {
		if r.setAction(attrType, v) || r.setSelectors(attrType, v, header) {
			continue
		}
		if r.setOutboundSelectors(attrType, v, header) || exactPort(attrType, v) {
			continue
		}
		unwritten = nlattr.Append(unwritten, attrType, v)
		if !r.setForeignSelectors(attrType, v) && attrType > fraDSCPMask {
			r.UnknownAttrs = append(r.UnknownAttrs, attrType)
		}
	}
	r.unwritten = string(unwritten)
	return r, nil
}

// setAction decodes an attribute of the action and reports whether it is one. replypath writes all of them.
func (r *rawRule) setAction(attrType uint16, v nlattr.Value) bool {
	switch attrType {
	case nl.FRA_PRIORITY:
		r.Priority = uplinks.Priority(v.Uint32())
	case nl.FRA_PROTOCOL:
		r.Protocol = v.Uint8()
	case nl.FRA_TABLE:
		r.Table = uplinks.Table(v.Uint32())
	case nl.FRA_GOTO:
		r.Goto = uplinks.Priority(v.Uint32())
	case nl.FRA_SUPPRESS_PREFIXLEN:
		r.SuppressLength = int32(v.Uint32())
	case nl.FRA_SUPPRESS_IFGROUP:
		r.SuppressGroup = int64(int32(v.Uint32()))
	default:
		return false
	}
	return true
}

// setSelectors decodes a selector that replypath writes and reports whether it is one.
func (r *rawRule) setSelectors(attrType uint16, v nlattr.Value, header *nl.RtMsg) bool {
	switch attrType {
	case nl.FRA_SRC:
		r.From = v.Prefix(header.Src_len)
	case nl.FRA_IIFNAME:
		r.In = unix.ByteSliceToString(v)
	case nl.FRA_FWMARK:
		r.Mark = v.Uint32()
	case nl.FRA_FWMASK:
		r.Mask = v.Uint32()
	case nl.FRA_PAD:
	default:
		return false
	}
	return true
}

// exactPort reports whether the attribute says that a port is compared in all bits, as Linux 6.15 and later add to a rule that
// has a single port.
func exactPort(attrType uint16, v nlattr.Value) bool {
	return (attrType == fraSportMask || attrType == fraDportMask) && v.Uint16() == 0xffff
}

// setOutboundSelectors decodes one of uplinks.Selectors and reports whether it is one.
func (r *rawRule) setOutboundSelectors(attrType uint16, v nlattr.Value, header *nl.RtMsg) bool {
	switch attrType {
	case nl.FRA_DST:
		r.To = v.Prefix(header.Dst_len)
	case nl.FRA_OIFNAME:
		r.Out = unix.ByteSliceToString(v)
	case nl.FRA_TUN_ID:
		r.Tunnel = v.BigEndian()
	case nl.FRA_L3MDEV:
		r.L3mdev = v.Uint8() != 0
	case nl.FRA_UID_RANGE:
		if len(v) == 8 {
			r.UIDs = &rpdb.UIDRange{First: v.Uint32(), Last: v[4:].Uint32()}
		}
	case nl.FRA_IP_PROTO:
		r.Proto = v.Uint8()
	case nl.FRA_SPORT_RANGE:
		r.Sport.First, r.Sport.Last = parsePortRange(v)
	case nl.FRA_DPORT_RANGE:
		r.Dport.First, r.Dport.Last = parsePortRange(v)
	default:
		return false
	}
	return true
}

// setForeignSelectors decodes a selector that only rules of other programs have and reports whether it is one.
func (r *rawRule) setForeignSelectors(attrType uint16, v nlattr.Value) bool {
	switch attrType {
	case fraSportMask:
		r.Sport.Mask = v.Uint16()
	case fraDportMask:
		r.Dport.Mask = v.Uint16()
	case fraDSCP:
		r.DSCP, r.TOS, r.TOSMask = true, v.Uint8()<<2, tosMask6
	case fraDSCPMask:
		r.TOSMask = v.Uint8() << 2
	case fraFlowLabel:
		r.FlowLabel = uint32(v.BigEndian())
	case fraFlowLabelMask:
		r.FlowLabelMask = uint32(v.BigEndian())
	default:
		return false
	}
	return true
}

// parsePortRange decodes a struct fib_rule_port_range, whose ports are in native order.
func parsePortRange(v nlattr.Value) (first, last uint16) {
	if len(v) < 4 {
		return 0, 0
	}
	return v.Uint16(), v[2:].Uint16()
}

// toRule returns the rule in the form in which package uplinks plans and writes rules.
func (r *rawRule) toRule() uplinks.Rule {
	out := uplinks.Rule{Family: r.Family, Priority: r.Priority, Not: r.Not, From: r.From, IIF: r.In, Mark: marks.Mark(r.Mark), Mask: marks.Mask(r.Mask),
		Action: r.Action, Table: r.Table, Goto: r.Goto, SuppressLength: r.SuppressLength, SuppressGroup: r.SuppressGroup, Other: r.unwritten}
	out.Selectors = uplinks.Selectors{To: r.To, OIF: r.Out, TOS: r.tos(), Proto: r.Proto, Sport: uplinks.PortRange{First: r.Sport.First, Last: r.Sport.Last},
		Dport: uplinks.PortRange{First: r.Dport.First, Last: r.Dport.Last}, Tunnel: r.Tunnel, L3mdev: r.L3mdev}
	if r.UIDs != nil {
		out.UIDs = uplinks.UIDRange{First: r.UIDs.First, Last: r.UIDs.Last, Set: true}
	}
	return out
}

// tos returns the type of service of a rule that was written with tos: one with dscp is in unwritten.
func (r *rawRule) tos() uint8 {
	if r.DSCP {
		return 0
	}
	return r.TOS
}
