package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Router asks for routing decisions, in the network namespace in which it was opened.
type Router struct{ h *netlink.Handle }

// OpenRouter opens a router. Its socket is not strict as a Handle's: strict, the kernel refuses for IPv6 a flag that the
// library always sets (RTM_F_LOOKUP_TABLE).
func OpenRouter() (*Router, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &Router{h}, nil
}

// Close closes the socket.
func (r *Router) Close() { r.h.Close() }

// Ask asks for the kernel's routing decision, the source check included.
func (r *Router) Ask(q uplinks.Question) uplinks.Decision {
	options := &netlink.RouteGetOptions{IifIndex: q.In, Mark: uint32(q.Mark)}
	if q.From.IsValid() {
		options.SrcAddr = q.From.AsSlice()
	}
	routes, err := r.h.RouteGetWithOptions(q.To.AsSlice(), options)
	if err == nil && len(routes) == 0 {
		err = unix.ENETUNREACH
	}
	if err != nil {
		return uplinks.Decision{Err: err}
	}
	route := routes[0]
	d := uplinks.Decision{Local: route.Type == unix.RTN_LOCAL, Link: route.LinkIndex, Table: uplinks.Table(route.Table)}
	if via, ok := route.Via.(*netlink.Via); ok {
		d.Gateway, _ = netip.AddrFromSlice(via.Addr)
	} else if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
		d.Gateway = gateway.Unmap()
	}
	return d
}

// Default reports whether nothing but a default route leads to the address: then the host knows nothing of it.
func (r *Router) Default(to netip.Addr) bool {
	routes, err := r.h.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil {
		return errors.Is(err, unix.ENETUNREACH)
	}
	if len(routes) == 0 || routes[0].Dst == nil {
		return true
	}
	ones, _ := routes[0].Dst.Mask.Size()
	return ones == 0
}
