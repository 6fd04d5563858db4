package rtnl

import (
	"net/netip"
	"syscall"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of rules that the library has no names for (linux/fib_rules.h, Linux 6.12 and later).
const (
	fraDSCP          = 25
	fraFlowLabel     = 26
	fraFlowLabelMask = 27
	fraSportMask     = 28
	fraDportMask     = 29
	fraDSCPMask      = 30
)

// What a type of service compares: IPv4 only the bits of old, IPv6 all but those of congestion.
const (
	tosMask4 = 0x1c
	tosMask6 = 0xfc
)

// attrValue is what an attribute holds; short ones read as 0.
type attrValue []byte

func (v attrValue) uint8() uint8 {
	if len(v) < 1 {
		return 0
	}
	return v[0]
}

func (v attrValue) uint16() uint16 {
	if len(v) < 2 {
		return 0
	}
	return nl.NativeEndian().Uint16(v)
}

func (v attrValue) uint32() uint32 {
	if len(v) < 4 {
		return 0
	}
	return nl.NativeEndian().Uint32(v)
}

// bigEndian is a number in network order of any length.
func (v attrValue) bigEndian() (n uint64) {
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

func (v attrValue) prefix(bits uint8) netip.Prefix {
	ip, _ := netip.AddrFromSlice(v)
	return netip.PrefixFrom(ip, int(bits))
}

func parsePolicyRule(m []byte, f uplinks.Family) (rpdb.Rule, error) {
	header := nl.DeserializeRtMsg(m)
	r := rpdb.Rule{Family: f, Action: uplinks.Action(header.Type), Not: header.Flags&fibRuleInvert != 0, Table: uplinks.Table(header.Table),
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress, TOS: header.Tos}
	if header.Tos != 0 {
		r.TOSMask = map[uplinks.Family]uint8{uplinks.IPv4: tosMask4, uplinks.IPv6: tosMask6}[f]
	}
	attrs, err := nl.ParseRouteAttr(m[header.Len():])
	for _, a := range attrs {
		setSelectors(&r, a, header)
		setAction(&r, a)
		setExtendedSelectors(&r, a)
		if a.Attr.Type > fraDSCPMask {
			r.UnknownAttrs = append(r.UnknownAttrs, a.Attr.Type)
		}
	}
	return r, err
}

// setSelectors reads what a rule has had for long, by the packet's addresses, links and mark.
func setSelectors(r *rpdb.Rule, a syscall.NetlinkRouteAttr, header *nl.RtMsg) {
	switch v := attrValue(a.Value); a.Attr.Type {
	case nl.FRA_DST:
		r.To = v.prefix(header.Dst_len)
	case nl.FRA_SRC:
		r.From = v.prefix(header.Src_len)
	case nl.FRA_IIFNAME:
		r.In = unix.ByteSliceToString(v)
	case nl.FRA_OIFNAME:
		r.Out = unix.ByteSliceToString(v)
	case nl.FRA_FWMARK:
		r.Mark = v.uint32()
	case nl.FRA_FWMASK:
		r.Mask = v.uint32()
	case nl.FRA_TUN_ID:
		r.Tunnel = v.bigEndian()
	case nl.FRA_L3MDEV:
		r.L3mdev = v.uint8() != 0
	}
}

// setAction reads what a rule does.
func setAction(r *rpdb.Rule, a syscall.NetlinkRouteAttr) {
	switch v := attrValue(a.Value); a.Attr.Type {
	case nl.FRA_PRIORITY:
		r.Priority = uplinks.Priority(v.uint32())
	case nl.FRA_PROTOCOL:
		r.Protocol = v.uint8()
	case nl.FRA_TABLE:
		r.Table = uplinks.Table(v.uint32())
	case nl.FRA_GOTO:
		r.Goto = uplinks.Priority(v.uint32())
	case nl.FRA_SUPPRESS_PREFIXLEN:
		r.SuppressLength = int32(v.uint32())
	case nl.FRA_SUPPRESS_IFGROUP:
		r.SuppressGroup = int64(int32(v.uint32()))
	}
}

// setExtendedSelectors reads what a rule selects by besides addresses, links and mark.
func setExtendedSelectors(r *rpdb.Rule, a syscall.NetlinkRouteAttr) {
	switch v := attrValue(a.Value); a.Attr.Type {
	case nl.FRA_UID_RANGE:
		if len(v) == 8 {
			r.UIDs = &rpdb.UIDRange{First: v.uint32(), Last: v[4:].uint32()}
		}
	case nl.FRA_IP_PROTO:
		r.Proto = v.uint8()
	case nl.FRA_SPORT_RANGE:
		r.Sport.First, r.Sport.Last = parsePortRange(v)
	case nl.FRA_DPORT_RANGE:
		r.Dport.First, r.Dport.Last = parsePortRange(v)
	case fraSportMask:
		r.Sport.Mask = v.uint16()
	case fraDportMask:
		r.Dport.Mask = v.uint16()
	case fraDSCP:
		r.DSCP, r.TOS, r.TOSMask = true, v.uint8()<<2, tosMask6
	case fraDSCPMask:
		r.TOSMask = v.uint8() << 2
	case fraFlowLabel:
		r.FlowLabel = uint32(v.bigEndian())
	case fraFlowLabelMask:
		r.FlowLabelMask = uint32(v.bigEndian())
	}
}

func parsePortRange(v attrValue) (first, last uint16) {
	if len(v) < 4 {
		return 0, 0
	}
	return v.uint16(), v[2:].uint16()
}
