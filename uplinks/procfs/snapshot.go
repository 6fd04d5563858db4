package procfs

import (
	"slices"

	"replypath/uplinks"
)

// The sysctls of a snapshot: those that decide which way packets take on a host with several uplinks. Tables of the network
// namespace first, then those of each link; * stands for the link, all and default.
var (
	snapshotSysctls = []string{
		"net.ipv4.ip_forward", "net.ipv4.fib_multipath_hash_policy", "net.ipv4.fib_multipath_hash_fields", "net.ipv4.fib_multipath_use_neigh",
		"net.ipv4.nexthop_compat_mode", "net.ipv4.tcp_l3mdev_accept", "net.ipv4.udp_l3mdev_accept",
		"net.ipv6.fib_multipath_hash_policy", "net.ipv6.fib_multipath_hash_fields",
		"net.netfilter.nf_conntrack_tcp_loose", uplinks.FwmarkAccept, uplinks.Reflect4, uplinks.Reflect6,
	}
	snapshotLinkSysctls = []string{
		"net.ipv4.conf.*.accept_local", "net.ipv4.conf.*.arp_announce", "net.ipv4.conf.*.arp_filter", "net.ipv4.conf.*.arp_ignore",
		"net.ipv4.conf.*.forwarding", "net.ipv4.conf.*.ignore_routes_with_linkdown", "net.ipv4.conf.*.route_localnet",
		"net.ipv4.conf.*.rp_filter", uplinks.SrcValidMark,
		"net.ipv6.conf.*.accept_ra", "net.ipv6.conf.*.accept_ra_defrtr", "net.ipv6.conf.*.accept_ra_rt_info_max_plen", "net.ipv6.conf.*.autoconf",
		"net.ipv6.conf.*.disable_ipv6", "net.ipv6.conf.*.forwarding", "net.ipv6.conf.*.ignore_routes_with_linkdown",
		uplinks.UseOIFAddrsOnly,
	}
)

// SnapshotSysctls returns the sysctls of a snapshot for these links, in its order. Some may not exist.
func SnapshotSysctls(links []string) (all []uplinks.Tunable) {
	for _, name := range snapshotSysctls {
		all = append(all, uplinks.Tunable{Name: name})
	}
	for _, link := range append([]string{"all", "default"}, slices.Sorted(slices.Values(links))...) {
		for _, name := range snapshotLinkSysctls {
			all = append(all, uplinks.Tunable{Link: link, Name: name})
		}
	}
	return all
}

// SetsAlso returns the name of the sysctls of all links that the kernel sets together with this one, "" for none.
func SetsAlso(t uplinks.Tunable) string {
	switch {
	case t.Name == "net.ipv4.ip_forward":
		return "net.ipv4.conf.*.forwarding"
	case t.Link != "all":
		return ""
	}
	switch t.Name {
	case "net.ipv4.conf.*.forwarding", "net.ipv6.conf.*.forwarding", "net.ipv6.conf.*.disable_ipv6", "net.ipv6.conf.*.ignore_routes_with_linkdown":
		return t.Name
	}
	return ""
}
