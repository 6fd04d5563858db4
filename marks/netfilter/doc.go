// Package netfilter speaks to the kernel's packet filter without starting processes: nftables by netlink
// (linux/netfilter/nfnetlink.h, nf_tables.h), tables of the legacy backend by socket options
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h). It decodes both into rules of package marks.
// The decoders validate every length and make no system call.
package netfilter
