package endpoint

import (
	"replypath/health"

	"github.com/prometheus/client_golang/prometheus"
)

// The series of outbound connections.
var (
	policyTier    = newDesc("policy_tier", "The tier that the policy uses, from 1; 0 while no uplink is usable.", "policy", "family")
	policyShare   = newDesc("policy_share_ratio", "The share of the uplink in the policy's new connections, from 0 to 1.", "policy", "family", "uplink")
	policyChanges = newDesc("policy_changes_total", "Changes of the uplinks that the policy uses, since the service started.", "policy", "family")
	outboundConns = newDesc("outbound_connections", "Connections that began inside and are pinned to the uplink.", "uplink", "family")
	outboundMoves = newDesc("outbound_moves_total", "Times that the connections of the uplink were moved, since the service started.", "uplink", "family")
	outboundMoved = newDesc("outbound_moved_total", "Connections of the uplink that were moved, and sockets that were ended, since the service started.", "uplink", "family")
	outboundSweep = newDesc("outbound_last_move_seconds", "The duration of the first sweep of the last move.", "uplink", "family")
)

// collectOutbound sends what concerns outbound connections.
func collectOutbound(out chan<- prometheus.Metric, o *health.OutboundStatus) {
	if o == nil {
		return
	}
	for _, p := range o.Policies {
		family := familyLabel(p.Family)
		sendGauge(out, policyTier, float64(p.Tier), p.Policy, family)
		sendCounter(out, policyChanges, float64(p.Changes), p.Policy, family)
		for _, m := range p.Members {
			sendGauge(out, policyShare, m.SharePercent/100, p.Policy, family, m.Uplink)
		}
	}
	for _, u := range o.Uplinks {
		family := familyLabel(u.Family)
		if !o.CountedAt.IsZero() {
			sendGauge(out, outboundConns, float64(u.Connections), u.Uplink, family)
		}
		sendCounter(out, outboundMoves, float64(u.Moves), u.Uplink, family)
		sendCounter(out, outboundMoved, float64(u.Moved), u.Uplink, family)
		if u.LastMove != nil {
			sendGauge(out, outboundSweep, u.LastMove.Milliseconds/1000, u.Uplink, family)
		}
	}
}
