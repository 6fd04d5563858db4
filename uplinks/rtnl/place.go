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
		return h.routeConcern(m)
	case newNexthop, delNexthop:
		// With an object the kernel takes routes, or changes where they lead, and tells nobody (net/ipv4/nexthop.c).
		if h.objects.used(objectOf(m.Data), m.Header.Type == delNexthop) {
			return "route", at
		}
	}
	return "", at
}

// routeConcern names what a message about a route is about. Of a route that takes the place of another the kernel tells,
// and not of the other, which may have been by another link (net/ipv4/fib_trie.c, fib_table_insert).
func (h *Handle) routeConcern(m syscall.NetlinkMessage) (what string, at uplinks.Place) {
	r, err := readListed(m.Data, uplinks.IPv4) // of whichever family
	if err != nil {
		return "route", at
	}
	switch {
	case h.ourTable(r.table) && (r.protocol == uplinks.Protocol || !r.isDefault()):
		at.Table = r.table
	case r.protocol == uplinks.Protocol:
		// It is not where ours are: only a look at the whole host finds it.
	case !r.isDefault() && (r.table != uplinks.MainTable || r.forwards()):
		return "", at
	case m.Header.Type == unix.RTM_NEWROUTE && m.Header.Flags&unix.NLM_F_REPLACE != 0:
	case r.table != uplinks.MainTable:
		// It may be its link's first default route in that table, which may be one of ours: a look at the link or the table
		// alone would miss it.
	case r.kind == uplinks.Unicast && len(r.more) == 0:
		// The kernel hangs an unreachable route of IPv6 on the loopback link.
		at.Link = r.hop.link
	}
	h.objects.note(&r, nil)
	return "route", at
}
