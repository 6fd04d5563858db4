package prover

import (
	"net/netip"

	"replypath/health/proof"
	"replypath/uplinks/egress"
)

// blockedPeers returns the peers of the requests that an IPsec policy of another program drops when they are for this host.
func (r *run) blockedPeers(requests []proof.Request) map[netip.AddrPort]bool {
	if len(r.output.Policies) == 0 {
		return nil
	}
	blocked := map[netip.AddrPort]bool{}
	for _, q := range requests {
		p := egress.Packet{Proto: protocol(q), From: q.From, To: q.To, Mark: uint32(q.Path.Mark), Link: q.Path.Index}
		if policy, found := r.output.FindPolicy(egress.In, p); found && !policy.Passes() {
			blocked[q.From] = true
		}
	}
	return blocked
}
