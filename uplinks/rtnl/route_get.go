package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteGetter queries the routing decisions of the network namespace in which it was opened (RTM_GETROUTE).
type RouteGetter struct{ h *netlink.Handle }

// OpenRouteGetter opens a RouteGetter. Its socket is not strict, unlike a Handle's: on a strict socket the kernel rejects IPv6
// queries with a flag that the library always sets (RTM_F_LOOKUP_TABLE).
func OpenRouteGetter() (*RouteGetter, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &RouteGetter{h}, nil
}

// Close closes the socket.
func (g *RouteGetter) Close() { g.h.Close() }

// Get returns the kernel's routing decision for a packet, including the source check (rp_filter). A packet without a route is
// reported in the decision's Err.
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

// OnlyDefaultRoute reports whether only a default route, or none, matches the address: then no network of the host has it.
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
