package rtnl

import (
	"context"
	"net/netip"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// identity is what two lists of routes have in common.
type identity struct {
	dst    netip.Prefix
	table  uplinks.Table
	metric uint32
	tos    uint8
}

// fillRoutes gives a family's routes by nexthop objects their hops where the kernel tells only the number (the sysctl
// nexthop_compat_mode is 0), which the library forgets.
func (h *Handle) fillRoutes(ctx context.Context, f uplinks.Family, routes []netlink.Route) error {
	bare := map[identity][]*netlink.Route{}
	for i := range routes {
		if r := &routes[i]; r.Type == unix.RTN_UNICAST && r.LinkIndex == 0 && len(r.MultiPath) == 0 {
			id := identity{destination(f, *r), uplinks.Table(r.Table), uint32(r.Priority), uint8(r.Tos)}
			bare[id] = append(bare[id], r)
		}
	}
	if len(bare) == 0 {
		return nil
	}
	objects, err := nexthops(ctx, h.names)
	if err != nil {
		return err
	}
	return h.numbered(ctx, f, func(r rpdb.Route) {
		id := identity{r.Dst, r.Table, r.Metric, r.TOS}
		if twins := bare[id]; len(twins) > 0 {
			twins[0].MultiPath, bare[id] = h.multipath(hopsOf(objects, r.Nexthop)), twins[1:]
		}
	})
}

// numbered gives a family's routes by nexthop objects, in the kernel's order.
func (h *Handle) numbered(ctx context.Context, f uplinks.Family, take func(rpdb.Route)) error {
	var all []rpdb.Route
	err := dump(ctx, f.String()+" routes", func() error {
		all = nil
		req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(number(f))}})
		return each(req, unix.RTM_NEWROUTE, func(m []byte) error {
			r, err := policyRoute(m, f, h.names)
			if r.Nexthop != 0 {
				all = append(all, r)
			}
			return err
		})
	})
	for _, r := range all {
		take(r)
	}
	return err
}

func (h *Handle) multipath(hops []rpdb.Hop) (all []*netlink.NexthopInfo) {
	for _, hop := range hops {
		info := &netlink.NexthopInfo{LinkIndex: h.indexes[hop.Link], Gw: hop.Via.AsSlice()}
		if hop.OnLink {
			info.Flags = unix.RTNH_F_ONLINK
		}
		all = append(all, info)
	}
	return all
}
