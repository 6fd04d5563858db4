package rtnl

import (
	"errors"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ask asks for the kernel's routing decision, the source check included.
func (h *Handle) Ask(q uplinks.Question) uplinks.Decision {
	options := &netlink.RouteGetOptions{IifIndex: q.In, Mark: uint32(q.Mark)}
	if q.From.IsValid() {
		options.SrcAddr = q.From.AsSlice()
	}
	routes, err := h.h.RouteGetWithOptions(q.To.AsSlice(), options)
	if err == nil && len(routes) == 0 {
		err = unix.ENETUNREACH
	}
	if err != nil {
		return uplinks.Decision{Err: err}
	}
	r := routes[0]
	d := uplinks.Decision{Local: r.Type == unix.RTN_LOCAL, Link: r.LinkIndex, Table: uplinks.Table(r.Table)}
	if via, ok := r.Via.(*netlink.Via); ok {
		d.Gateway, _ = netip.AddrFromSlice(via.Addr)
	} else if gateway, ok := netip.AddrFromSlice(r.Gw); ok {
		d.Gateway = gateway.Unmap()
	}
	return d
}

// Default reports whether nothing but a default route leads to the address: then the host knows nothing of it.
func (h *Handle) Default(to netip.Addr) bool {
	routes, err := h.h.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil {
		return errors.Is(err, unix.ENETUNREACH)
	}
	if len(routes) == 0 || routes[0].Dst == nil {
		return true
	}
	ones, _ := routes[0].Dst.Mask.Size()
	return ones == 0
}
