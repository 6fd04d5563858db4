package endpoint

import (
	"replypath/health"

	dto "github.com/prometheus/client_model/go"
)

// The series of an uplink in a family. Each has the labels uplink, interface and family, and some a few more.
var (
	uplinkUp       = newGauge("uplink_up", "Whether the uplink is up or unproven: its probes are answered.")
	uplinkState    = newGauge("uplink_state", "1 for the current state, 0 for the others.")
	uplinkProven   = newGauge("uplink_proven", "Whether replies leave by the uplink: by the verdict, by the routing decision where nothing can be shown, or for all but some clients.")
	uplinkWarning  = newGauge("uplink_proof_warning", "Whether replies leave by the uplink although something on their way is wrong.")
	uplinkDegraded = newGauge("uplink_degraded", "Whether loss or latency is above its threshold.")
	uplinkReplies  = newCounter("uplink_replies_total", "First replies of real connections: symmetric ones left by their ingress interface, stray ones by another.")
	uplinkVIP      = newGauge("uplink_vip_here", "Whether the VIPs of the uplink are on this node.")
	uplinkChanges  = newCounter("uplink_state_changes_total", "Changes of the state since the service started.")
	uplinkFlaps    = newCounter("uplink_flaps_total", "Flaps: times that the uplink went down soon after it had come up.")
	uplinkHoldDown = newGauge("uplink_hold_down_seconds", "For how long probes must still be answered before the uplink is up again.")
	proof          = newGauge("proof", "1 for the result of each check of the reply path, and of all together (verdict), 0 for the others.")
	proofTime      = newGauge("proof_timestamp_seconds", "When the reply path was last checked.")
)

// The series of a probe, which has the labels probe and target too.
var (
	probeUp   = newGauge("probe_up", "Whether the target answers through the uplink.")
	probeBad  = newGauge("probe_bad_target", "Whether the target answers through no uplink and is ignored.")
	probeSent = newCounter("probe_sent_total", "Probes that were sent.")
	probeLost = newCounter("probe_lost_total", "Probes that were not answered in time, or not through the uplink.")
	probeLoss = newGauge("probe_loss_ratio", "The share of lost probes among the last ones, from 0 to 1.")
	probeRTT  = &metric{name: "replypath_probe_rtt_seconds", help: "Round-trip times of answered probes.", kind: dto.MetricType_HISTOGRAM}
)

// The labels of the series of every uplink.
var (
	stateLabels                = newLabels("state", string(health.Absent), string(health.Down), string(health.Unproven), string(health.Standby), string(health.Up))
	symmetricLabel, strayLabel = newLabel("path", "symmetric"), newLabel("path", "stray")
	wayLabels                  = newLabels("way", "asked", "shown", "verdict")
	resultLabels               = newLabels("result", string(health.Yes), string(health.No), string(health.Unknown))
)

// collectUplinks adds the series of all uplinks, and returns the labels of their probes. Of an uplink or a probe that is there
// twice it leaves out the second one, whose series would have the same labels.
func collectUplinks(out scrape, all []health.UplinkStatus) map[rttKey]labels {
	known, probes := map[health.Key]bool{}, map[rttKey]labels{}
	for _, u := range all {
		uplink, link := newLabel("uplink", u.Name), newLabel("interface", u.Interface)
		for _, f := range u.Families {
			key := health.Key{Uplink: u.Name, Family: f.Family}
			if known[key] {
				continue
			}
			known[key] = true
			common := labels{}.with(uplink, link, newLabel("family", familyLabel(f.Family)))
			collectFamily(out, common, f)
			for _, a := range f.Probes {
				t := rttKey{key, a.Name}
				if probes[t] == nil {
					probes[t] = common.with(newLabel("probe", a.Name), newLabel("target", a.Target))
					collectProbe(out, probes[t], a)
				}
			}
		}
	}
	return probes
}

func collectFamily(out scrape, common labels, f health.FamilyStatus) {
	verdict := f.Proof.Verdict()
	out.add(uplinkUp, boolValue(f.State == health.Up || f.State == health.Unproven), common)
	for _, l := range stateLabels {
		out.add(uplinkState, boolValue(string(f.State) == l.GetValue()), common.with(l))
	}
	out.add(uplinkProven, boolValue(f.Proof.Proven()), common)
	out.add(uplinkWarning, boolValue(verdict.Warning()), common)
	if f.VIP != "" {
		out.add(uplinkVIP, boolValue(f.VIP == health.VIPHere), common)
	}
	out.add(uplinkDegraded, boolValue(f.Degraded != ""), common)
	out.add(uplinkReplies, float64(f.Proof.Replies.Symmetric), common.with(symmetricLabel))
	out.add(uplinkReplies, float64(f.Proof.Replies.Stray), common.with(strayLabel))
	out.add(uplinkChanges, float64(f.StateChanges), common)
	out.add(uplinkFlaps, float64(f.Flaps), common)
	out.add(uplinkHoldDown, f.HoldDownSeconds, common)
	for i, check := range [...]health.ProofCheck{f.Proof.Routes, f.Proof.Trace, verdict} {
		for _, l := range resultLabels {
			out.add(proof, boolValue(string(check.Result) == l.GetValue()), common.with(wayLabels[i], l))
		}
	}
	if !f.Proof.At.IsZero() {
		out.add(proofTime, unixSeconds(f.Proof.At), common)
	}
}

func collectProbe(out scrape, all labels, a health.ProbeStatus) {
	out.add(probeUp, boolValue(a.Up), all)
	out.add(probeBad, boolValue(a.BadTarget), all)
	out.add(probeSent, float64(a.Sent), all)
	out.add(probeLost, float64(a.Lost), all)
	out.add(probeLoss, a.LossPercent/100, all)
}
