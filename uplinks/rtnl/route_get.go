package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteGetter asks for routing decisions, in the network namespace in which it was opened.
type RouteGetter struct{ h *netlink.Handle }

// OpenRouteGetter opens a router. Its socket is not strict as a Handle's: strict, the kernel refuses for IPv6 a flag that the
// library always sets (RTM_F_LOOKUP_TABLE).
func OpenRouteGetter() (*RouteGetter, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &RouteGetter{h}, nil
}

// Close closes the socket.
func (g *RouteGetter) Close() { g.h.Close() }

// Get asks for the kernel's routing decision, the source check included.
func (g *RouteGetter) Get(q uplinks.RouteQuery) uplinks.RouteDecision {
	options := &netlink.RouteGetOptions{IifIndex: q.IIF, Mark: uint32(q.Mark)}
	if q.From.IsValid() {
		options.SrcAddr = q.From.AsSlice()
	}
	routes, err := g.h.RouteGetWithOptions(q.To.AsSlice(), options)
	if err == nil && len(routes) == 0 {
		err = unix.ENETUNREACH
	}
	if err != nil {
		return uplinks.RouteDecision{Err: err}
	}
	route := routes[0]
	d := uplinks.RouteDecision{Local: route.Type == unix.RTN_LOCAL, Link: route.LinkIndex, Table: uplinks.Table(route.Table)}
	if via, ok := route.Via.(*netlink.Via); ok {
		d.Gateway, _ = netip.AddrFromSlice(via.Addr)
	} else if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
		d.Gateway = gateway.Unmap()
	}
	return d
}

// OnlyDefaultRoute reports whether nothing but a default route leads to the address: then the host knows nothing of it.
func (g *RouteGetter) OnlyDefaultRoute(to netip.Addr) bool {
	routes, err := g.h.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil {
		return errors.Is(err, unix.ENETUNREACH)
	}
	if len(routes) == 0 || routes[0].Dst == nil {
		return true
	}
	ones, _ := routes[0].Dst.Mask.Size()
	return ones == 0
}
