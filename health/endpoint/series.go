package endpoint

import (
	"strings"
	"sync"
	"time"

	"replypath/health"
	"replypath/uplinks"

	"github.com/prometheus/client_golang/prometheus"
)

// The series of the service.
var (
	buildInfo    = series("build_info", "What is running: always 1.", "version")
	healthy      = series("healthy", "Whether the service does its work, whatever the uplinks do.")
	ready        = series("ready", "Whether the configuration has been applied once.")
	inSync       = series("in_sync", "Whether the kernel is as the configuration asks.")
	syncSuccess  = series("last_sync_successful", "Whether the last look at the kernel and its repairs succeeded.")
	syncTime     = series("last_sync_timestamp_seconds", "When the last look at the kernel ended.")
	syncRounds   = series("sync_rounds_total", "Looks at the kernel since the service started.")
	syncChanges  = series("sync_changes_total", "Steps by which the kernel was changed since the service started.")
	repairs      = series("repairs_total", "Steps that put right what others had changed, by the kind of what they change.", "kind")
	waiting      = series("repairs_waiting", "Repairs that are put off because somebody undoes them again and again.")
	drift        = series("drift_steps", "Steps that were missing at the last look.")
	reloadGood   = series("config_last_reload_successful", "Whether the configuration that was read last is in force.")
	reloadTime   = series("config_last_reload_timestamp_seconds", "When the configuration was read last.")
	uplinkLabels = []string{"uplink", "interface", "family"}
)

// The series of an uplink in a family.
var (
	uplinkUp       = series("uplink_up", "Whether somebody answers through the uplink, be its reply path proven or not.", uplinkLabels...)
	uplinkState    = series("uplink_state", "1 for the state in which the uplink is, 0 for the others.", append(uplinkLabels, "state")...)
	uplinkProven   = series("uplink_proven", "Whether a way to prove the reply path says that it is right, and none that it is not.", uplinkLabels...)
	uplinkDegraded = series("uplink_degraded", "Whether loss or latency is above its threshold.", uplinkLabels...)
	uplinkReplies  = series("uplink_replies_total", "First replies of real connections: symmetric ones left by their ingress interface, stray ones by another.", append(uplinkLabels, "path")...)
	uplinkChanges  = series("uplink_state_changes_total", "Changes of the state since the service started.", uplinkLabels...)
	uplinkFlaps    = series("uplink_flaps_total", "Times that the uplink went down soon after it had come up.", uplinkLabels...)
	uplinkHold     = series("uplink_hold_down_seconds", "How long the uplink must still answer before it counts as up.", uplinkLabels...)
	proof          = series("proof", "1 for the result of each way to prove the reply path, 0 for the others.", append(uplinkLabels, "way", "result")...)
	proofTime      = series("proof_timestamp_seconds", "When the reply path was last asked for and shown.", uplinkLabels...)
	probeLabels    = append(uplinkLabels, "probe", "target")
)

// The series of a probe.
var (
	probeUp   = series("probe_up", "Whether the target answers through the uplink.", probeLabels...)
	probeBad  = series("probe_bad_target", "Whether the target answers through no uplink, and so says nothing about this one.", probeLabels...)
	probeSent = series("probe_sent_total", "Questions that were put.", probeLabels...)
	probeLost = series("probe_lost_total", "Questions that were not answered in time, or not through the uplink.", probeLabels...)
	probeLoss = series("probe_loss_ratio", "The lost among the last questions, from 0 to 1.", probeLabels...)
	probeRTT  = series("probe_rtt_seconds", "Round trips of the questions that were answered.", probeLabels...)
)

// described is a series that is described when it is first told: most programs of ours never tell any.
type described func() *prometheus.Desc

func series(name, help string, labels ...string) described {
	return sync.OnceValue(func() *prometheus.Desc { return prometheus.NewDesc("replypath_"+name, help, labels, nil) })
}

func service(out chan<- prometheus.Metric, s health.Status) {
	gauge(out, buildInfo, 1, s.Build)
	gauge(out, healthy, number(s.Healthy))
	gauge(out, ready, number(s.Ready))
	gauge(out, inSync, number(s.InSync))
	gauge(out, syncSuccess, number(s.Error == ""))
	moment(out, syncTime, s.Last)
	count(out, syncRounds, float64(s.Rounds))
	count(out, syncChanges, float64(s.Changes))
	for _, kind := range kinds(s.Repairs) {
		count(out, repairs, float64(s.Repairs[kind]), kind)
	}
	gauge(out, waiting, float64(s.Waiting))
	gauge(out, drift, float64(s.Drift))
	last := health.Reloaded{At: s.Started} // a start reads it too
	if s.Reload != nil {
		last = *s.Reload
	}
	gauge(out, reloadGood, number(last.Error == ""))
	moment(out, reloadTime, last.At)
}

// kinds are all kinds of steps: a counter that begins with its first repair hides it from rate().
func kinds(also map[string]int) []string {
	all := []string{uplinks.KindRule, uplinks.KindRoute, uplinks.KindLink, uplinks.KindSysctl, uplinks.KindChains}
	known := map[string]bool{}
	for _, kind := range all {
		known[kind] = true
	}
	for kind := range also {
		if !known[kind] {
			all = append(all, kind)
		}
	}
	return all
}

func standing(out chan<- prometheus.Metric, labels []string, f health.Standing) {
	with := func(more ...string) []string { return append(labels[:len(labels):len(labels)], more...) }
	gauge(out, uplinkUp, number(f.State == health.Up || f.State == health.Unproven), labels...)
	for _, state := range []health.State{health.Absent, health.Down, health.Unproven, health.Up} {
		gauge(out, uplinkState, number(f.State == state), with(string(state))...)
	}
	gauge(out, uplinkProven, number(proven(f.Proof)), labels...)
	gauge(out, uplinkDegraded, number(f.Degraded != ""), labels...)
	count(out, uplinkReplies, float64(f.Proof.Seen.Symmetric), with("symmetric")...)
	count(out, uplinkReplies, float64(f.Proof.Seen.Stray), with("stray")...)
	count(out, uplinkChanges, float64(f.Changes), labels...)
	count(out, uplinkFlaps, float64(f.Flaps), labels...)
	gauge(out, uplinkHold, f.HoldDown, labels...)
	for way, check := range map[string]health.Check{"asked": f.Proof.Asked, "shown": f.Proof.Shown} {
		for _, result := range []health.Result{health.Yes, health.No, health.Unknown} {
			gauge(out, proof, number(check.Result == result), with(way, string(result))...)
		}
	}
	moment(out, proofTime, f.Proof.At, labels...)
}

func proven(p health.Proof) bool {
	yes := p.Asked.Result == health.Yes || p.Shown.Result == health.Yes
	return yes && p.Asked.Result != health.No && p.Shown.Result != health.No
}

func answers(out chan<- prometheus.Metric, labels []string, a health.Answers) {
	gauge(out, probeUp, number(a.Up), labels...)
	gauge(out, probeBad, number(a.Bad), labels...)
	count(out, probeSent, float64(a.Sent), labels...)
	count(out, probeLost, float64(a.Lost), labels...)
	gauge(out, probeLoss, a.Percent/100, labels...)
}

func gauge(out chan<- prometheus.Metric, d described, v float64, labels ...string) {
	metric, err := prometheus.NewConstMetric(d(), prometheus.GaugeValue, v, valid(labels)...)
	give(out, d, metric, err)
}

func count(out chan<- prometheus.Metric, d described, v float64, labels ...string) {
	metric, err := prometheus.NewConstMetric(d(), prometheus.CounterValue, v, valid(labels)...)
	give(out, d, metric, err)
}

// moment shows no time that has not come yet.
func moment(out chan<- prometheus.Metric, d described, t time.Time, labels ...string) {
	if !t.IsZero() {
		gauge(out, d, float64(t.UnixMilli())/1000, labels...)
	}
}

func give(out chan<- prometheus.Metric, d described, metric prometheus.Metric, err error) {
	if err != nil {
		metric = prometheus.NewInvalidMetric(d(), err)
	}
	out <- metric
}

// valid makes what others have named fit to be a label: a link's name may be any bytes.
func valid(labels []string) []string {
	all := make([]string, len(labels))
	for i, l := range labels {
		all[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return all
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func lower(f uplinks.Family) string { return strings.ToLower(f.String()) }
