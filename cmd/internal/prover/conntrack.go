package prover

import (
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// dropConntrack takes the questions' connections out of connection tracking. Without it they would stay for half a minute;
// that it cannot be done, for want of nf_conntrack_netlink, changes nothing else.
func (c *captureWindow) dropConntrack(questions []proof.Request) {
	flows := make([]rtnl.Flow, 0, len(questions))
	for _, q := range questions {
		flows = append(flows, rtnl.Flow{Proto: protocol(q), From: q.From, To: q.To})
	}
	rtnl.DeleteConnections(flows)
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
