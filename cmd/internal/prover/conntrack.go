package prover

import (
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// deleteConnections removes the connections of the requests from conntrack, where they would stay for half a minute. It is
// best effort: the kernel may lack nf_conntrack_netlink.
func deleteConnections(requests []proof.Request) {
	flows := make([]rtnl.Flow, 0, len(requests))
	for _, q := range requests {
		flows = append(flows, rtnl.Flow{Proto: protocol(q), From: q.From, To: q.To})
	}
	_ = rtnl.DeleteConnections(flows)
}

func protocol(q proof.Request) uint8 {
	switch {
	case q.Proto == "tcp":
		return unix.IPPROTO_TCP
	case q.Proto == "udp":
		return unix.IPPROTO_UDP
	case q.Path.Family == uplinks.IPv6:
		return unix.IPPROTO_ICMPV6
	}
	return unix.IPPROTO_ICMP
}
