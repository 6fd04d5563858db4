package endpoint

import (
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/health"
	"replypath/uplinks"

	"github.com/prometheus/client_golang/prometheus"
)

// The series of the service.
var (
	buildInfo      = newDesc("build_info", "The version of the service; always 1.", "version")
	healthy        = newDesc("healthy", "Whether the service works, whatever the state of the uplinks.")
	ready          = newDesc("ready", "Whether the configuration has been applied once.")
	inSync         = newDesc("in_sync", "Whether the kernel is as configured.")
	syncSuccess    = newDesc("last_sync_successful", "Whether the last round, which compares and repairs the kernel, succeeded.")
	syncTime       = newDesc("last_sync_timestamp_seconds", "When the last round ended.")
	syncRounds     = newDesc("sync_rounds_total", "Rounds since the service started.")
	syncChanges    = newDesc("sync_changes_total", "Changes of the kernel since the service started.")
	repairs        = newDesc("repairs_total", "Repairs of changes by other programs, by the kind of the repaired object.", "kind")
	repairsWaiting = newDesc("repairs_waiting", "Repairs that are deferred because another program keeps undoing them.")
	driftSteps     = newDesc("drift_steps", "Changes that the last round found missing.")
	reloadGood     = newDesc("config_last_reload_successful", "Whether the last configuration that was read is in use.")
	fileInForce    = newDesc("config_file_in_force", "Whether the configuration in force is that of the file.")
	configSaved    = newDesc("config_saved", "Whether the configuration in force is saved for the next start.")
	reloadTime     = newDesc("config_last_reload_timestamp_seconds", "When a configuration was last read.")
	fingerprint    = newDesc("fingerprint_info", "A hash of what the nodes of a pair must have in common; always 1.", "fingerprint")
	uplinkID       = newDesc("uplink_id", "The id of the uplink, which the marks of its connections have.", "uplink")
	peerReachable  = newDesc("peer_reachable", "Whether the fingerprint of the peer could be read.", "peer")
	peerDifferent  = newDesc("peer_differences", "Differences between the fingerprints of this node and of the peer, when it was last read.", "peer")
	mismarked      = newDesc("mismarked_connections", "Connections to an address of the uplink that have the mark of another, among those that were read.", "uplink", "marked")
	conntrackUsed  = newDesc("conntrack_entries", "Connections in the kernel's table.")
	conntrackLimit = newDesc("conntrack_entries_limit", "The most connections that the kernel's table holds.")
	certificateEnd = newDesc("certificate_not_after_timestamp_seconds", "When the certificate of this endpoint expires.")
	accelerating   = newDesc("acceleration_in_force", "Whether established connections go by the flow table that is configured.")
	proxyListening = newDesc("proxy_listening", "Whether a transparent proxy takes new connections of the intercept.", "intercept", "family", "protocol", "proxy")
	foundRouters   = newDesc("found_routers", "Routers on the interface of the uplink that were found by their packets, and are in force.", "uplink", "interface")
	uplinkLabels   = []string{"uplink", "interface", "family"}
)

// The series of an uplink in a family.
var (
	uplinkUp       = newDesc("uplink_up", "Whether the uplink is up or unproven: its probes are answered.", uplinkLabels...)
	uplinkState    = newDesc("uplink_state", "1 for the current state, 0 for the others.", append(uplinkLabels, "state")...)
	uplinkProven   = newDesc("uplink_proven", "Whether replies leave by the uplink: by the verdict, by the routing decision where nothing can be shown, or for all but some clients.", uplinkLabels...)
	uplinkWarning  = newDesc("uplink_proof_warning", "Whether replies leave by the uplink although something on their way is wrong.", uplinkLabels...)
	uplinkDegraded = newDesc("uplink_degraded", "Whether loss or latency is above its threshold.", uplinkLabels...)
	uplinkReplies  = newDesc("uplink_replies_total", "First replies of real connections: symmetric ones left by their ingress interface, stray ones by another.", append(uplinkLabels, "path")...)
	uplinkVIP      = newDesc("uplink_vip_here", "Whether the VIPs of the uplink are on this node.", uplinkLabels...)
	uplinkChanges  = newDesc("uplink_state_changes_total", "Changes of the state since the service started.", uplinkLabels...)
	uplinkFlaps    = newDesc("uplink_flaps_total", "Flaps: times that the uplink went down soon after it had come up.", uplinkLabels...)
	uplinkHoldDown = newDesc("uplink_hold_down_seconds", "For how long probes must still be answered before the uplink is up again.", uplinkLabels...)
	proof          = newDesc("proof", "1 for the result of each check of the reply path, and of all together (verdict), 0 for the others.", append(uplinkLabels, "way", "result")...)
	proofTime      = newDesc("proof_timestamp_seconds", "When the reply path was last checked.", uplinkLabels...)
	probeLabels    = append(uplinkLabels, "probe", "target")
)

// The series of a probe.
var (
	probeUp   = newDesc("probe_up", "Whether the target answers through the uplink.", probeLabels...)
	probeBad  = newDesc("probe_bad_target", "Whether the target answers through no uplink and is ignored.", probeLabels...)
	probeSent = newDesc("probe_sent_total", "Probes that were sent.", probeLabels...)
	probeLost = newDesc("probe_lost_total", "Probes that were not answered in time, or not through the uplink.", probeLabels...)
	probeLoss = newDesc("probe_loss_ratio", "The share of lost probes among the last ones, from 0 to 1.", probeLabels...)
	probeRTT  = newDesc("probe_rtt_seconds", "Round-trip times of answered probes.", probeLabels...)
)

// lazyDesc makes the description of a series when it is first used: most commands use none.
type lazyDesc func() *prometheus.Desc

func newDesc(name, help string, labels ...string) lazyDesc {
	return sync.OnceValue(func() *prometheus.Desc { return prometheus.NewDesc("replypath_"+name, help, labels, nil) })
}

func collectService(out chan<- prometheus.Metric, s health.Status) {
	sendGauge(out, buildInfo, 1, s.Build)
	sendGauge(out, healthy, boolValue(s.Healthy))
	sendGauge(out, ready, boolValue(s.Ready))
	sendGauge(out, inSync, boolValue(s.InSync))
	sendGauge(out, syncSuccess, boolValue(s.Error == ""))
	sendTime(out, syncTime, s.LastRound)
	sendCounter(out, syncRounds, float64(s.Rounds))
	sendCounter(out, syncChanges, float64(s.Changes))
	for _, kind := range repairKinds(s.Repairs) {
		sendCounter(out, repairs, float64(s.Repairs[kind]), kind)
	}
	sendGauge(out, repairsWaiting, float64(s.RepairsWaiting))
	sendGauge(out, driftSteps, float64(s.Drift))
	collectPair(out, s)
	if s.Conntrack.Limit > 0 {
		sendGauge(out, conntrackUsed, float64(s.Conntrack.Entries))
		sendGauge(out, conntrackLimit, float64(s.Conntrack.Limit))
	}
	for _, u := range s.Uplinks {
		if u.FoundRouters != nil {
			sendGauge(out, foundRouters, float64(len(u.FoundRouters)), u.Name, u.Interface)
		}
	}
	if s.Acceleration != nil {
		sendGauge(out, accelerating, boolValue(s.Acceleration.InForce))
	}
	if c := s.Configuration; c != nil {
		sendGauge(out, fileInForce, boolValue(c.State == health.FileInForce))
		sendGauge(out, configSaved, boolValue(c.Unsaved == ""))
	}
	last := health.ReloadStatus{At: s.Started} // a start reads the configuration too
	if s.Reload != nil {
		last = *s.Reload
	}
	sendGauge(out, reloadGood, boolValue(last.Error == ""))
	sendTime(out, reloadTime, last.At)
}

// collectPair sends what concerns the other node of a pair.
func collectPair(out chan<- prometheus.Metric, s health.Status) {
	if s.Fingerprint != nil {
		sendGauge(out, fingerprint, 1, s.Fingerprint.Value)
		for _, u := range s.Fingerprint.Uplinks {
			sendGauge(out, uplinkID, float64(u.ID), u.Name)
		}
	}
	for _, n := range countMismarked(s) {
		sendGauge(out, mismarked, float64(n.Count), n.Uplink, n.Marked)
	}
	for _, p := range s.Proxies {
		sendGauge(out, proxyListening, boolValue(p.State == uplinks.ProxyListening), p.Intercept, familyLabel(p.Family), p.Protocol, p.Proxy)
	}
	if s.Peer != nil {
		sendGauge(out, peerReachable, boolValue(s.Peer.Error == "" && !s.Peer.At.IsZero()), s.Peer.URL)
		sendGauge(out, peerDifferent, float64(len(s.Peer.Differences)), s.Peer.URL)
	}
}

// countMismarked returns the sums over the addresses of each uplink.
func countMismarked(s health.Status) (sums []uplinks.MismarkedConnections) {
	for _, m := range s.Mismarked {
		i := slices.IndexFunc(sums, func(o uplinks.MismarkedConnections) bool { return o.Uplink == m.Uplink && o.Marked == m.Marked })
		if i < 0 {
			sums = append(sums, m)
		} else {
			sums[i].Count += m.Count
		}
	}
	return sums
}

// repairKinds returns all kinds of steps. A counter that first appears with value 1 would hide its increase from rate().
func repairKinds(repairs map[string]int) []string {
	all := make([]string, 0, len(uplinks.Kinds))
	known := map[string]bool{}
	for _, kind := range uplinks.Kinds {
		all, known[string(kind)] = append(all, string(kind)), true
	}
	for kind := range repairs {
		if !known[kind] {
			all = append(all, kind)
		}
	}
	return all
}

func collectFamily(out chan<- prometheus.Metric, labels []string, f health.FamilyStatus) {
	with := func(more ...string) []string { return append(labels[:len(labels):len(labels)], more...) }
	sendGauge(out, uplinkUp, boolValue(f.State == health.Up || f.State == health.Unproven), labels...)
	for _, state := range []health.State{health.Absent, health.Down, health.Unproven, health.Standby, health.Up} {
		sendGauge(out, uplinkState, boolValue(f.State == state), with(string(state))...)
	}
	verdict := f.Proof.Verdict()
	sendGauge(out, uplinkProven, boolValue(f.Proof.Proven()), labels...)
	sendGauge(out, uplinkWarning, boolValue(verdict.Warning()), labels...)
	if f.VIP != "" {
		sendGauge(out, uplinkVIP, boolValue(f.VIP == health.VIPHere), labels...)
	}
	sendGauge(out, uplinkDegraded, boolValue(f.Degraded != ""), labels...)
	sendCounter(out, uplinkReplies, float64(f.Proof.Replies.Symmetric), with("symmetric")...)
	sendCounter(out, uplinkReplies, float64(f.Proof.Replies.Stray), with("stray")...)
	sendCounter(out, uplinkChanges, float64(f.StateChanges), labels...)
	sendCounter(out, uplinkFlaps, float64(f.Flaps), labels...)
	sendGauge(out, uplinkHoldDown, f.HoldDownSeconds, labels...)
	for way, check := range map[string]health.ProofCheck{"asked": f.Proof.Routes, "shown": f.Proof.Trace, "verdict": verdict} {
		for _, result := range []health.Result{health.Yes, health.No, health.Unknown} {
			sendGauge(out, proof, boolValue(check.Result == result), with(way, string(result))...)
		}
	}
	sendTime(out, proofTime, f.Proof.At, labels...)
}

func collectProbe(out chan<- prometheus.Metric, labels []string, a health.ProbeStatus) {
	sendGauge(out, probeUp, boolValue(a.Up), labels...)
	sendGauge(out, probeBad, boolValue(a.BadTarget), labels...)
	sendCounter(out, probeSent, float64(a.Sent), labels...)
	sendCounter(out, probeLost, float64(a.Lost), labels...)
	sendGauge(out, probeLoss, a.LossPercent/100, labels...)
}

func sendGauge(out chan<- prometheus.Metric, d lazyDesc, v float64, labels ...string) {
	metric, err := prometheus.NewConstMetric(d(), prometheus.GaugeValue, v, validLabels(labels)...)
	send(out, d, metric, err)
}

func sendCounter(out chan<- prometheus.Metric, d lazyDesc, v float64, labels ...string) {
	metric, err := prometheus.NewConstMetric(d(), prometheus.CounterValue, v, validLabels(labels)...)
	send(out, d, metric, err)
}

// sendTime sends a Unix time, unless it is zero.
func sendTime(out chan<- prometheus.Metric, d lazyDesc, t time.Time, labels ...string) {
	if !t.IsZero() {
		sendGauge(out, d, float64(t.UnixMilli())/1000, labels...)
	}
}

// send sends the metric, or an invalid one that reports the error to the scrape.
func send(out chan<- prometheus.Metric, d lazyDesc, metric prometheus.Metric, err error) {
	if err != nil {
		metric = prometheus.NewInvalidMetric(d(), err)
	}
	out <- metric
}

// validLabels makes labels valid UTF-8: the name of a link may have any bytes.
func validLabels(labels []string) []string {
	all := make([]string, len(labels))
	for i, l := range labels {
		all[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return all
}

func boolValue(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func familyLabel(f uplinks.Family) string { return strings.ToLower(f.String()) }
