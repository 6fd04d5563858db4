package rtnl

import (
	"net/netip"
	"syscall"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtaNexthop is RTA_NH_ID (linux/rtnetlink.h).
const rtaNexthop = 30

// typeMask leaves the flags of an attribute's type away.
const typeMask = nl.NLA_TYPE_MASK

// policyRoute reads a route by itself: the library's forgets nexthop objects and the preference of routers.
func policyRoute(m []byte, f uplinks.Family, names map[int]string) (rpdb.Route, error) {
	header := nl.DeserializeRtMsg(m)
	r := rpdb.Route{Table: uplinks.Table(header.Table), Type: uplinks.RouteType(header.Type), Dst: f.Any(), TOS: header.Tos, Protocol: header.Protocol}
	attrs, err := nl.ParseRouteAttr(m[header.Len():])
	if err != nil {
		return r, err
	}
	hop := readHop(attrs, names, header.Flags)
	for _, a := range attrs {
		switch v := value(a.Value); a.Attr.Type & typeMask {
		case unix.RTA_DST:
			r.Dst = v.prefix(header.Dst_len)
		case unix.RTA_SRC:
			if header.Src_len > 0 {
				r.From = v.prefix(header.Src_len)
			}
		case unix.RTA_TABLE:
			r.Table = uplinks.Table(v.word())
		case unix.RTA_PRIORITY:
			r.Metric = v.word()
		case unix.RTA_PREFSRC:
			r.Src, _ = netip.AddrFromSlice(v)
		case unix.RTA_PREF:
			r.Pref = rpdb.Pref(v.byte())
		case rtaNexthop:
			r.Nexthop = v.word()
		case unix.RTA_MULTIPATH:
			r.Hops, err = readHops(v, names)
		}
	}
	if len(r.Hops) == 0 {
		r.Hops = []rpdb.Hop{hop}
	}
	return r, err
}

func readHop(attrs []syscall.NetlinkRouteAttr, names map[int]string, flags uint32) rpdb.Hop {
	hop := rpdb.Hop{OnLink: flags&unix.RTNH_F_ONLINK != 0, Dead: flags&unix.RTNH_F_DEAD != 0, Weight: 1}
	for _, a := range attrs {
		switch v := value(a.Value); a.Attr.Type & typeMask {
		case unix.RTA_OIF:
			hop.Link = names[int(v.word())]
		case unix.RTA_GATEWAY:
			hop.Via, _ = netip.AddrFromSlice(v)
		case unix.RTA_VIA:
			if len(v) > 2 {
				hop.Via, _ = netip.AddrFromSlice(v[2:])
			}
		}
	}
	return hop
}

// readHops reads the list of hops of a multipath route.
func readHops(v value, names map[int]string) (hops []rpdb.Hop, err error) {
	for len(v) >= unix.SizeofRtNexthop {
		length := int(v.half())
		if length < unix.SizeofRtNexthop || length > len(v) {
			break
		}
		attrs, err := nl.ParseRouteAttr(v[unix.SizeofRtNexthop:length])
		if err != nil {
			return hops, err
		}
		hop := readHop(attrs, names, uint32(v[2]))
		hop.Link, hop.Weight = names[int(v[4:].word())], int(v[3])+1
		hops = append(hops, hop)
		v = v[min((length+3)&^3, len(v)):]
	}
	return hops, nil
}
