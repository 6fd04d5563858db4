package rtnl

import (
	"syscall"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// place is where the change is that a message tells of. With an address that goes, the kernel also takes IPv4 routes that
// have it as their source, by any link, and tells nobody (net/ipv4/fib_semantics.c, fib_sync_down_addr).
func (h *Handle) place(m syscall.NetlinkMessage) (at uplinks.Place) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m.Data) >= unix.SizeofIfInfomsg {
			at.Link = int(nl.DeserializeIfInfomsg(m.Data).Index)
		}
	case unix.RTM_NEWADDR:
		if len(m.Data) >= unix.SizeofIfAddrmsg {
			at.Link = int(nl.DeserializeIfAddrmsg(m.Data).Index)
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, err := routed(m.Data)
		switch {
		case err != nil:
		case h.ourTable(r.table):
			at.Table = r.table
		default:
			at.Link = r.link
		}
	}
	return at
}

// routing is where a route's message says that it stands and leads.
type routing struct {
	table   uplinks.Table
	link    int // 0: by none, or by several
	gateway bool
}

func routed(data []byte) (r routing, err error) {
	if len(data) < unix.SizeofRtMsg {
		return r, unix.EBADMSG
	}
	msg := nl.DeserializeRtMsg(data)
	attrs, err := nl.ParseRouteAttr(data[msg.Len():])
	r.table = uplinks.Table(msg.Table)
	for _, a := range attrs {
		switch v := value(a.Value); a.Attr.Type & typeMask {
		case unix.RTA_TABLE:
			r.table = uplinks.Table(v.word())
		case unix.RTA_OIF:
			// The kernel hangs an unreachable route of IPv6 on the loopback link.
			if msg.Type == unix.RTN_UNICAST {
				r.link = int(v.word())
			}
		case unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_MULTIPATH:
			r.gateway = true
		}
	}
	return r, err
}
