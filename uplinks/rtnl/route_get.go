package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// RouteGetter queries the routing decisions of the network namespace in which it was opened (RTM_GETROUTE). Not safe for concurrent use.
type RouteGetter struct {
	socket  *writer
	request message // whose memory is used again
}

// OpenRouteGetter opens a RouteGetter. Its socket is not strict, unlike that by which a Handle reads: on a strict socket the kernel rejects
// IPv6 queries for the table of the route (RTM_F_LOOKUP_TABLE).
func OpenRouteGetter() (*RouteGetter, error) {
	w, err := openWriter()
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &RouteGetter{socket: w}, nil
}

// Close closes the socket.
func (g *RouteGetter) Close() { g.socket.close() }

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
	reply, err := g.ask(q, 0, flags)
	if err != nil {
		return r, err
	}
	return parseRoute(reply, uplinks.FamilyOf(q.To))
}

// ask sends the request for a look-up, see appendRouteRequest, and returns the route as the kernel sends it, in memory that the next look-up
// uses again.
func (g *RouteGetter) ask(q uplinks.RouteQuery, oif int, flags uint32) ([]byte, error) {
	g.request = appendRouteRequest(g.request[:0], q, oif, flags)
	return g.socket.ask(g.request)
}

// appendRouteRequest returns the request for a look-up with the flags (RTM_F_*) in the memory of m, which is empty. oif is the index of the
// link that the socket is bound to; 0: none.
func appendRouteRequest(m message, q uplinks.RouteQuery, oif int, flags uint32) message {
	m = startMessage(m, unix.RTM_GETROUTE, 0, unix.SizeofRtMsg)
	width := uint8(q.To.BitLen())
	header := m.header()
	header[0], header[1], header[3] = uint8(addressFamily(uplinks.FamilyOf(q.To))), width, q.TOS // struct rtmsg, linux/rtnetlink.h
	if q.From.IsValid() {
		header[2] = width
	}
	nativeEndian.PutUint32(header[8:], flags)
	m.addAddr(unix.RTA_DST, q.To)
	if q.From.IsValid() {
		m.addAddr(unix.RTA_SRC, q.From)
	}
	if q.IIF != 0 {
		m.addUint32(unix.RTA_IIF, uint32(q.IIF))
	}
	if oif != 0 {
		m.addUint32(unix.RTA_OIF, uint32(oif))
	}
	m.addUint32(unix.RTA_MARK, uint32(q.Mark))
	m.addUint32(unix.RTA_UID, q.UID)
	if q.Proto != 0 {
		m.addAttr(unix.RTA_IP_PROTO, []byte{q.Proto})
	}
	if q.Sport != 0 {
		m.addAttr(unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, q.Sport))
	}
	if q.Dport != 0 {
		m.addAttr(unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, q.Dport))
	}
	return m
}
