package rtnl

import (
	"syscall"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// classify names what a message is about, and where that is; nothing when it cannot concern us. With an IPv4 address that
// goes, the kernel also takes the routes that have it as their source, by any link, and tells nobody
// (net/ipv4/fib_semantics.c, fib_sync_down_addr). Of IPv6 it changes those by the address's own link
// (net/ipv6/route.c, fib6_remove_prefsrc).
func (h *Handle) classify(m syscall.NetlinkMessage) (subject string, scope uplinks.ChangedScope) {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(m.Data) >= unix.SizeofIfInfomsg {
			scope.Link = int(nl.DeserializeIfInfomsg(m.Data).Index)
		}
		return "link", scope
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(m.Data) < unix.SizeofIfAddrmsg {
			return "address", scope
		}
		if a := nl.DeserializeIfAddrmsg(m.Data); m.Header.Type == unix.RTM_NEWADDR || a.Family == unix.AF_INET6 {
			scope.Link = int(a.Index)
		}
		return "address", scope
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return "rule", scope
	case unix.RTM_NEWNETCONF, unix.RTM_DELNETCONF:
		return "sysctl", scope
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return h.classifyRoute(m)
	case rtmNewNexthop, rtmDelNexthop:
		// With an object the kernel takes routes, or changes where they lead, and tells nobody (net/ipv4/nexthop.c).
		if h.trackedNexthops.tracked(nexthopID(m.Data), m.Header.Type == rtmDelNexthop) {
			return "route", scope
		}
	}
	return "", scope
}

// classifyRoute names what a message about a route is about. Of a route that takes the place of another the kernel tells,
// and not of the other, which may have been by another link (net/ipv4/fib_trie.c, fib_table_insert).
func (h *Handle) classifyRoute(m syscall.NetlinkMessage) (subject string, scope uplinks.ChangedScope) {
	r, err := parseRoute(m.Data, uplinks.IPv4) // of whichever family
	if err != nil {
		return "route", scope
	}
	switch {
	case h.isOwnTable(r.table) && (r.protocol == uplinks.Protocol || !r.isDefault()):
		scope.Table = r.table
	case r.protocol == uplinks.Protocol:
		// It is not where ours are: only a look at the whole host finds it.
	case !r.isDefault() && (r.table != uplinks.MainTable || r.hasGateway()):
		return "", scope
	case m.Header.Type == unix.RTM_NEWROUTE && m.Header.Flags&unix.NLM_F_REPLACE != 0:
	case r.table != uplinks.MainTable:
		// It may be its link's first default route in that table, which may be one of ours: a look at the link or the table
		// alone would miss it.
	case r.routeType == uplinks.Unicast && len(r.multipath) == 0:
		// The kernel hangs an unreachable route of IPv6 on the loopback link.
		scope.Link = r.hop.link
	}
	h.trackedNexthops.track(&r, nil)
	return "route", scope
}
