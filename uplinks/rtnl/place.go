package rtnl

import (
	"syscall"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// concern names what a message is about, and where that is; nothing when it cannot concern us. With an IPv4 address that
// goes, the kernel also takes the routes that have it as their source, by any link, and tells nobody
// (net/ipv4/fib_semantics.c, fib_sync_down_addr). Of IPv6 it changes those by the address's own link
// (net/ipv6/route.c, fib6_remove_prefsrc).
func (h *Handle) concern(m syscall.NetlinkMessage) (what string, at uplinks.Place) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m.Data) >= unix.SizeofIfInfomsg {
			at.Link = int(nl.DeserializeIfInfomsg(m.Data).Index)
		}
		return "link", at
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(m.Data) < unix.SizeofIfAddrmsg {
			return "address", at
		}
		if a := nl.DeserializeIfAddrmsg(m.Data); m.Header.Type == unix.RTM_NEWADDR || a.Family == unix.AF_INET6 {
			at.Link = int(a.Index)
		}
		return "address", at
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return "rule", at
	case unix.RTM_NEWNETCONF, unix.RTM_DELNETCONF:
		return "sysctl", at
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return h.routeConcern(m.Data)
	}
	return "", at
}

func (h *Handle) routeConcern(data []byte) (what string, at uplinks.Place) {
	if len(data) < unix.SizeofRtMsg {
		return "", at
	}
	msg := nl.DeserializeRtMsg(data)
	r, err := routed(data)
	switch {
	case err != nil:
		return "route", at
	case h.ourTable(r.table):
		at.Table = r.table
	case r.table == uplinks.MainTable || msg.Dst_len != 0:
		at.Link = r.link
	default:
		// A default route elsewhere may be its link's first in that table: a look at the link alone would miss it.
	}
	if at.Table == 0 && msg.Protocol != uplinks.Protocol && msg.Dst_len != 0 && (r.table != uplinks.MainTable || r.gateway) {
		return "", at
	}
	return "route", at
}

// routing is where a route's message says that it stands and leads.
type routing struct {
	table   uplinks.Table
	link    int // 0: by none, or by several
	gateway bool
}

func routed(data []byte) (r routing, err error) {
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
