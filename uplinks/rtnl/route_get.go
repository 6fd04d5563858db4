package rtnl

import (
	"errors"
	"fmt"
	"net/netip"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// RouteGetter queries the routing decisions of the network namespace in which it was opened (RTM_GETROUTE).
type RouteGetter struct{ socket *nl.SocketHandle }

// OpenRouteGetter opens a RouteGetter. Its socket is not strict, unlike a Handle's: on a strict socket the kernel rejects IPv6
// queries for the table of the route (RTM_F_LOOKUP_TABLE).
func OpenRouteGetter() (*RouteGetter, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := s.SetReceiveTimeout(&nl.SocketTimeoutTv); err != nil {
		s.Close()
		return nil, fmt.Errorf("set the timeout of a netlink socket: %w", err)
	}
	return &RouteGetter{&nl.SocketHandle{Socket: s}}, nil
}

// Close closes the socket.
func (g *RouteGetter) Close() { g.socket.Close() }

// Get returns the kernel's routing decision for a packet, including the source check (rp_filter). A packet without a route is
// reported in the decision's Err, and so is one of a protocol that the kernel cannot look up.
func (g *RouteGetter) Get(q uplinks.RouteQuery) uplinks.RouteDecision {
	r, err := g.query(q, unix.RTM_F_LOOKUP_TABLE)
	if err != nil {
		return uplinks.RouteDecision{Err: err}
	}
	d := uplinks.RouteDecision{Local: r.routeType == unix.RTN_LOCAL, Link: r.hop.link, Gateway: r.hop.via, Table: r.table}
	if !q.AllHops {
		return d
	}
	// The decision stands without the other next hops: older kernels do not have all of these queries.
	if match, err := g.query(q, unix.RTM_F_LOOKUP_TABLE|unix.RTM_F_FIB_MATCH); err == nil {
		for _, h := range match.multipath {
			if h.link != d.Link {
				d.Other = h.link
			}
		}
	}
	return d
}

// OnlyDefaultRoute reports whether only a default route, or none, matches the address: then no network of the host has it.
func (g *RouteGetter) OnlyDefaultRoute(to netip.Addr) bool {
	r, err := g.query(uplinks.RouteQuery{To: to}, unix.RTM_F_LOOKUP_TABLE|unix.RTM_F_FIB_MATCH)
	if err != nil {
		return errors.Is(err, unix.ENETUNREACH)
	}
	return r.isDefault()
}

// query makes one look-up with the flags (RTM_F_*).
func (g *RouteGetter) query(q uplinks.RouteQuery, flags uint32) (r rawRoute, err error) {
	req := newRouteRequest(q, 0, flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: g.socket}
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE)
	switch {
	case err != nil:
		return r, err
	case len(msgs) == 0:
		return r, unix.ENETUNREACH
	}
	return parseRoute(msgs[0], uplinks.FamilyOf(q.To))
}

// newRouteRequest returns the request for a look-up with the flags (RTM_F_*). oif is the index of the link that the socket is bound to; 0: none.
func newRouteRequest(q uplinks.RouteQuery, oif int, flags uint32) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_REQUEST)
	width := uint8(q.To.BitLen())
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(uplinks.FamilyOf(q.To))), Dst_len: width, Tos: q.TOS, Flags: flags}}
	req.AddData(msg)
	add := func(attr int, value []byte) { req.AddData(nl.NewRtAttr(attr, value)) }
	add(unix.RTA_DST, q.To.AsSlice())
	if q.From.IsValid() {
		msg.Src_len = width
		add(unix.RTA_SRC, q.From.AsSlice())
	}
	if q.IIF != 0 {
		add(unix.RTA_IIF, nl.Uint32Attr(uint32(q.IIF)))
	}
	if oif != 0 {
		add(unix.RTA_OIF, nl.Uint32Attr(uint32(oif)))
	}
	add(unix.RTA_MARK, nl.Uint32Attr(uint32(q.Mark)))
	add(unix.RTA_UID, nl.Uint32Attr(q.UID))
	if q.Proto != 0 {
		add(unix.RTA_IP_PROTO, nl.Uint8Attr(q.Proto))
	}
	if q.Sport != 0 {
		add(unix.RTA_SPORT, nl.BEUint16Attr(q.Sport))
	}
	if q.Dport != 0 {
		add(unix.RTA_DPORT, nl.BEUint16Attr(q.Dport))
	}
	return req
}
