package host

import (
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"

	"golang.org/x/sys/unix"
)

// forget takes the questions' connections out of connection tracking. Without it they would stay for half a minute;
// that it cannot be done, for want of nf_conntrack_netlink, changes nothing else.
func (c *crossing) forget(questions []proof.Question) {
	flows := make([]rtnl.Flow, 0, len(questions))
	for _, q := range questions {
		flows = append(flows, rtnl.Flow{Proto: protocol(q), From: q.From, To: q.To})
	}
	rtnl.Forget(flows)
}

func protocol(q proof.Question) uint8 {
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
