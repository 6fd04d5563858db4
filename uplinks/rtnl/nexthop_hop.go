package rtnl

import (
	"iter"
	"net/netip"

	"golang.org/x/sys/unix"
)

// hop is one way that a route offers.
type hop struct {
	link   int
	via    netip.Addr // not valid: directly
	flags  uint8      // RTNH_F_*
	weight int
}

// setAttr takes an attribute, if it is one of a hop.
func (h *hop) setAttr(attrType uint16, v attrValue) bool {
	switch attrType {
	case unix.RTA_OIF:
		h.link = int(v.uint32())
	case unix.RTA_GATEWAY:
		h.via, _ = netip.AddrFromSlice(v)
	case unix.RTA_VIA:
		h.via, _ = netip.AddrFromSlice(v[min(2, len(v)):]) // behind its family (RFC 5549)
	default:
		return false
	}
	return true
}

// parseMultipath reads the list of hops of a multipath route.
func parseMultipath(v attrValue) (hops []hop) {
	for len(v) >= unix.SizeofRtNexthop {
		length := int(v.uint16())
		if length < unix.SizeofRtNexthop || length > len(v) {
			break
		}
		h := hop{flags: v[2], weight: int(v[3]) + 1, link: int(v[4:].uint32())}
		for attrType, v := range attrs(v[unix.SizeofRtNexthop:length]) {
			h.setAttr(attrType, v)
		}
		hops = append(hops, h)
		v = v[min((length+3)&^3, len(v)):]
	}
	return hops
}

// hops are all that the route has.
func (r *rawRoute) hops() iter.Seq[hop] {
	return func(yield func(hop) bool) {
		if len(r.multipath) == 0 {
			yield(r.hop)
			return
		}
		for _, h := range r.multipath {
			if !yield(h) {
				return
			}
		}
	}
}
