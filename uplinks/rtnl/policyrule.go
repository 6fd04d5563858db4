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

// value is what an attribute holds; short ones read as 0.
type value []byte

func (v value) byte() uint8 {
	if len(v) < 1 {
		return 0
	}
	return v[0]
}

func (v value) half() uint16 {
	if len(v) < 2 {
		return 0
	}
	return nl.NativeEndian().Uint16(v)
}

func (v value) word() uint32 {
	if len(v) < 4 {
		return 0
	}
	return nl.NativeEndian().Uint32(v)
}

// network is a number in network order of any length.
func (v value) network() (n uint64) {
	for _, b := range v {
		n = n<<8 | uint64(b)
	}
	return n
}

func (v value) prefix(bits uint8) netip.Prefix {
	ip, _ := netip.AddrFromSlice(v)
	return netip.PrefixFrom(ip, int(bits))
}

func policyRule(m []byte, f uplinks.Family) (rpdb.Rule, error) {
	header := nl.DeserializeRtMsg(m)
	r := rpdb.Rule{Family: f, Action: uplinks.Action(header.Type), Not: header.Flags&flagInvert != 0, Table: uplinks.Table(header.Table),
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress, TOS: header.Tos}
	if header.Tos != 0 {
		r.TOSMask = map[uplinks.Family]uint8{uplinks.IPv4: tosMask4, uplinks.IPv6: tosMask6}[f]
	}
	attrs, err := nl.ParseRouteAttr(m[header.Len():])
	for _, a := range attrs {
		readWho(&r, a, header)
		readWhat(&r, a)
		readMore(&r, a)
		if a.Attr.Type > fraDSCPMask {
			r.Unknown = append(r.Unknown, a.Attr.Type)
		}
	}
	return r, err
}

// readWho reads what a rule has had for long, by the packet's addresses, links and mark.
func readWho(r *rpdb.Rule, a syscall.NetlinkRouteAttr, header *nl.RtMsg) {
	switch v := value(a.Value); a.Attr.Type {
	case nl.FRA_DST:
		r.To = v.prefix(header.Dst_len)
	case nl.FRA_SRC:
		r.From = v.prefix(header.Src_len)
	case nl.FRA_IIFNAME:
		r.In = unix.ByteSliceToString(v)
	case nl.FRA_OIFNAME:
		r.Out = unix.ByteSliceToString(v)
	case nl.FRA_FWMARK:
		r.Mark = v.word()
	case nl.FRA_FWMASK:
		r.Mask = v.word()
	case nl.FRA_TUN_ID:
		r.Tunnel = v.network()
	case nl.FRA_L3MDEV:
		r.L3mdev = v.byte() != 0
	}
}

// readWhat reads what a rule does.
func readWhat(r *rpdb.Rule, a syscall.NetlinkRouteAttr) {
	switch v := value(a.Value); a.Attr.Type {
	case nl.FRA_PRIORITY:
		r.Priority = uplinks.Priority(v.word())
	case nl.FRA_PROTOCOL:
		r.Protocol = v.byte()
	case nl.FRA_TABLE:
		r.Table = uplinks.Table(v.word())
	case nl.FRA_GOTO:
		r.Goto = uplinks.Priority(v.word())
	case nl.FRA_SUPPRESS_PREFIXLEN:
		r.SuppressLength = int32(v.word())
	case nl.FRA_SUPPRESS_IFGROUP:
		r.SuppressGroup = int64(int32(v.word()))
	}
}

// readMore reads what a rule selects by besides addresses, links and mark.
func readMore(r *rpdb.Rule, a syscall.NetlinkRouteAttr) {
	switch v := value(a.Value); a.Attr.Type {
	case nl.FRA_UID_RANGE:
		if len(v) == 8 {
			r.Users = &rpdb.Users{First: v.word(), Last: v[4:].word()}
		}
	case nl.FRA_IP_PROTO:
		r.Proto = v.byte()
	case nl.FRA_SPORT_RANGE:
		r.Sport.First, r.Sport.Last = portRange(v)
	case nl.FRA_DPORT_RANGE:
		r.Dport.First, r.Dport.Last = portRange(v)
	case fraSportMask:
		r.Sport.Mask = v.half()
	case fraDportMask:
		r.Dport.Mask = v.half()
	case fraDSCP:
		r.DSCP, r.TOS, r.TOSMask = true, v.byte()<<2, tosMask6
	case fraDSCPMask:
		r.TOSMask = v.byte() << 2
	case fraFlowLabel:
		r.Label = uint32(v.network())
	case fraFlowLabelMask:
		r.LabelMask = uint32(v.network())
	}
}

func portRange(v value) (first, last uint16) {
	if len(v) < 4 {
		return 0, 0
	}
	return v.half(), v[2:].half()
}
