package rtnl

import (
	"errors"
	"fmt"
	"syscall"

	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// LookUpRoute makes the kernel look up the route of the packet (RTM_GETROUTE). The database has the links. match is the
// route as it stands in its table, chosen the result for this packet: one next hop, and the source address that the kernel
// selects. An error number of the kernel is part of the answer and not an err.
func (h *Handle) LookUpRoute(d *rpdb.Database, p rpdb.Packet) (match, chosen rpdb.Answer, err error) {
	if match, err = getRoute(d, p, unix.RTM_F_FIB_MATCH|unix.RTM_F_LOOKUP_TABLE); err != nil {
		return match, chosen, err
	}
	chosen, err = getRoute(d, p, unix.RTM_F_LOOKUP_TABLE)
	return match, chosen, err
}

// getRoute makes one look-up with the flags (RTM_F_*).
func getRoute(d *rpdb.Database, p rpdb.Packet, flags uint32) (a rpdb.Answer, err error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_REQUEST)
	if err := addRouteQuery(req, d, p, flags); err != nil {
		return a, err
	}
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE)
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno) && !queryErrors[errno]:
		return rpdb.Answer{Error: errno}, nil
	case err != nil:
		return a, fmt.Errorf("query the route to %s: %w", p, err)
	case len(msgs) != 1:
		return a, fmt.Errorf("query the route to %s: %d answers", p, len(msgs))
	}
	raw, err := parseRoute(msgs[0], p.Family)
	r := toPolicyRoute(&raw, d.LinkNames())
	return rpdb.Answer{Route: &r}, err
}

// queryErrors are error numbers that are about the query, not about the route.
var queryErrors = map[syscall.Errno]bool{unix.EOPNOTSUPP: true, unix.EPERM: true, unix.ENODEV: true, unix.ENOBUFS: true}

// addRouteQuery adds the header and attributes of the look-up to the request.
func addRouteQuery(req *nl.NetlinkRequest, d *rpdb.Database, p rpdb.Packet, flags uint32) error {
	width := uint8(p.To.BitLen())
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(addressFamily(p.Family)), Dst_len: width, Tos: p.TOS, Flags: flags}}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, p.To.AsSlice()))
	if p.From.IsValid() {
		msg.Src_len = width
		req.AddData(nl.NewRtAttr(unix.RTA_SRC, p.From.AsSlice()))
	}
	word := func(attr int, v uint32) { req.AddData(nl.NewRtAttr(attr, nl.Uint32Attr(v))) }
	for attr, link := range map[int]string{unix.RTA_IIF: p.In, unix.RTA_OIF: p.Out} {
		l, ok := d.Links[link]
		switch {
		case ok:
			word(attr, uint32(l.Index))
		case link != "":
			return fmt.Errorf("there is no link %s", link)
		}
	}
	word(unix.RTA_MARK, p.Mark)
	word(unix.RTA_UID, p.UID)
	if p.Proto != 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_IP_PROTO, nl.Uint8Attr(p.Proto)))
	}
	if p.Sport != 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_SPORT, nl.BEUint16Attr(p.Sport)))
	}
	if p.Dport != 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_DPORT, nl.BEUint16Attr(p.Dport)))
	}
	return nil
}
