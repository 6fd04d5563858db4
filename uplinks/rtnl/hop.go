package rtnl

import (
	"iter"
	"net/netip"

	"replypath/marks"
	"replypath/marks/nlattr"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// hop is a next hop of a route.
type hop struct {
	link   int
	via    netip.Addr // not valid: the destination is on the link
	flags  uint8      // RTNH_F_*
	weight int
}

// setAttr decodes an attribute of a next hop and reports whether it is one.
func (h *hop) setAttr(attrType uint16, v nlattr.Value) bool {
	switch attrType {
	case unix.RTA_OIF:
		h.link = int(v.Uint32())
	case unix.RTA_GATEWAY:
		h.via = v.Addr()
	case unix.RTA_VIA:
		h.via = v[min(2, len(v)):].Addr() // behind the address family (RFC 5549)
	default:
		return false
	}
	return true
}

// parseMultipath decodes RTA_MULTIPATH, an array of struct rtnexthop.
func parseMultipath(v nlattr.Value) (hops []hop) {
	for len(v) >= unix.SizeofRtNexthop {
		length := int(v.Uint16())
		if length < unix.SizeofRtNexthop || length > len(v) {
			break
		}
		h := hop{flags: v[2], weight: int(v[3]) + 1, link: int(v[4:].Uint32())}
		for attrType, v := range nlattr.All(v[unix.SizeofRtNexthop:length]) {
			h.setAttr(attrType, v)
		}
		hops = append(hops, h)
		v = v[min((length+3)&^3, len(v)):]
	}
	return hops
}

// hops yields all next hops of the route.
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

// hopNames returns the next hops of a multipath route, with the names of their links.
func (r *rawRoute) hopNames(names map[int]string) marks.List[uplinks.Hop] {
	all := make([]uplinks.Hop, len(r.multipath))
	for i, h := range r.multipath {
		all[i] = uplinks.Hop{Gateway: h.via, Link: names[h.link], Weight: h.weight, OnLink: h.flags&unix.RTNH_F_ONLINK != 0}
	}
	return marks.NewList(all...)
}

// addHops adds RTA_MULTIPATH, an array of struct rtnexthop.
func (m *message) addHops(f uplinks.Family, hops marks.List[uplinks.Hop], index func(link string) (int, error)) error {
	var all message
	for _, h := range hops.Values() {
		link, err := index(h.Link)
		if err != nil {
			return err
		}
		one := make(message, unix.SizeofRtNexthop)
		if h.OnLink {
			one[2] = unix.RTNH_F_ONLINK
		}
		one[3] = uint8(h.Weight - 1)
		nativeEndian.PutUint32(one[4:], uint32(link))
		one.addGateway(f, h.Gateway)
		nativeEndian.PutUint16(one, uint16(len(one)))
		all = append(all, one...)
	}
	m.addAttr(unix.RTA_MULTIPATH, all)
	return nil
}
