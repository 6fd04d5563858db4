package rtnl

import (
	"syscall"

	"replypath/marks/nlattr"
	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// classify returns the subject of an event, and the part of the host that must be read again; "" when the event does not
// concern replypath. With an IPv4 address that is deleted, the kernel also deletes the routes that have it as their source,
// by any link, without an event (net/ipv4/fib_semantics.c, fib_sync_down_addr). In IPv6 it changes such routes by the link
// of the address only (net/ipv6/route.c, fib6_remove_prefsrc).
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
		scope.Link = netconfLink(m.Data)
		return "sysctl", scope
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return h.classifyRoute(m)
	case rtmNewNexthop, rtmDelNexthop:
		// With an object the kernel deletes routes, or changes where they lead, without an event (net/ipv4/nexthop.c).
		if h.trackedNexthops.tracked(nexthopID(m.Data), m.Header.Type == rtmDelNexthop) {
			return "route", scope
		}
	}
	return "", scope
}

// netconfLink returns the index of the link whose sysctls an event is about (linux/netconf.h), 0 for those of all links. The
// kernel announces rp_filter, forwarding and some others, but not src_valid_mark.
func netconfLink(data []byte) int {
	const headerSize, ifindex = 4, 1 // struct netconfmsg with its padding, NETCONFA_IFINDEX
	if len(data) < headerSize {
		return 0
	}
	index := int32(nlattr.Find(data[headerSize:], ifindex).Uint32())
	return max(0, int(index)) // -1 and -2: all links, and later ones
}

// classifyRoute returns the subject and the scope of an event about a route. When a route replaces another, the kernel
// announces only the new one; the old one may have been by another link (net/ipv4/fib_trie.c, fib_table_insert).
func (h *Handle) classifyRoute(m syscall.NetlinkMessage) (subject string, scope uplinks.ChangedScope) {
	r, err := parseRoute(m.Data, uplinks.IPv4) // the family does not matter here
	if err != nil {
		return "route", scope
	}
	switch {
	case h.isOwnTable(r.table) && (r.protocol == uplinks.Protocol || !r.isDefault()):
		scope.Table = r.table
	case r.protocol == uplinks.Protocol:
		// It is outside of our tables: only a read of the whole host finds it.
	case !r.isDefault() && (r.table != uplinks.MainTable || r.hasGateway()):
		return "", scope
	case m.Header.Type == unix.RTM_NEWROUTE && m.Header.Flags&unix.NLM_F_REPLACE != 0:
	case r.table != uplinks.MainTable:
		// It may be the first default route of its link in that table, which may be one of ours: a read of the link or the
		// table alone would miss it.
	case r.isDefault() && r.from.IsValid():
		// It shows a delegated network, which belongs to the facts of the whole host.
	case r.routeType == uplinks.Unicast && len(r.multipath) == 0:
		// The kernel attaches an unreachable route of IPv6 to the loopback link.
		scope.Link = r.hop.link
	}
	h.trackedNexthops.track(&r, nil)
	return "route", scope
}
