package endpoint

import "replypath/health"

// The series of outbound connections.
var (
	policyTier    = newGauge("policy_tier", "The tier that the policy uses, from 1; 0 while no uplink is usable.", "policy", "family")
	policyShare   = newGauge("policy_share_ratio", "The share of the uplink in the policy's new connections, from 0 to 1.", "policy", "family", "uplink")
	policyChanges = newCounter("policy_changes_total", "Changes of the uplinks that the policy uses, since the service started.", "policy", "family")
	outboundConns = newGauge("outbound_connections", "Connections that began inside and are pinned to the uplink.", "uplink", "family")
	outboundMoves = newCounter("outbound_moves_total", "Times that the connections of the uplink were moved, since the service started.", "uplink", "family")
	outboundMoved = newCounter("outbound_moved_total", "Connections of the uplink that were moved, and sockets that were ended, since the service started.", "uplink", "family")
	outboundDrops = newCounter("outbound_filter_dropped_packets_total", "Packets from inside that no rule had translated, dropped by the filter at the egress of the interface.", "interface", "family")
	outboundSweep = newGauge("outbound_last_move_seconds", "The duration of the first sweep of the last move.", "uplink", "family")
)

// collectOutbound sends what concerns outbound connections.
func collectOutbound(out scrape, o *health.OutboundStatus) {
	if o == nil {
		return
	}
	for _, p := range o.Policies {
		family := familyLabel(p.Family)
		out.set(policyTier, float64(p.Tier), p.Policy, family)
		out.set(policyChanges, float64(p.Changes), p.Policy, family)
		for _, m := range p.Members {
			out.set(policyShare, m.SharePercent/100, p.Policy, family, m.Uplink)
		}
	}
	for _, f := range o.Filters {
		out.set(outboundDrops, float64(f.Dropped), f.Interface, familyLabel(f.Family))
	}
	for _, u := range o.Uplinks {
		family := familyLabel(u.Family)
		if !o.CountedAt.IsZero() {
			out.set(outboundConns, float64(u.Connections), u.Uplink, family)
		}
		out.set(outboundMoves, float64(u.Moves), u.Uplink, family)
		out.set(outboundMoved, float64(u.Moved), u.Uplink, family)
		if u.LastMove != nil {
			out.set(outboundSweep, u.LastMove.Milliseconds/1000, u.Uplink, family)
		}
	}
}
