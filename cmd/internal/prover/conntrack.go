package prover

import (
	"replypath/health/proof"
	"replypath/uplinks/rtnl"
)

// deleteConnections removes the connections of the requests from conntrack, where they would stay for half a minute. It is
// best effort: the kernel may lack nf_conntrack_netlink.
func deleteConnections(requests []proof.Request) {
	flows := make([]rtnl.Flow, 0, len(requests))
	for _, q := range requests {
		flows = append(flows, rtnl.Flow{Proto: q.ProtocolNumber(), From: q.From, To: q.To})
	}
	_ = rtnl.DeleteConnections(flows)
}
