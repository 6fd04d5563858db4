package endpoint

import (
	"errors"
	"strings"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetricsMatchTheStatus(t *testing.T) {
	s := openServer(t)
	s.update(func(h *health.Status) {
		f := &h.Uplinks[0].Families[0]
		f.StateChanges, f.Flaps, f.HoldDownSeconds, f.Degraded = 4, 3, 2.5, "loss"
		f.Proof = health.Proof{Routes: health.ProofCheck{Result: health.Yes}, Trace: health.ProofCheck{Result: health.Yes, Cause: health.Untracked},
			Replies: health.ReplyCounts{Symmetric: 50, Stray: 1}, At: time.Unix(1700000000, 500e6)}
		f.Probes[0].BadTarget = true
		h.Uplinks[1].Families[1].Proof.Trace.Result = health.No
		h.Drift, h.RepairsWaiting = 5, 6
		h.Reload = &health.ReloadStatus{At: time.Unix(1700000001, 0), Error: "refused"}
	})
	q := health.NewProbe("dns", health.Target{Kind: health.ICMP, Host: "192.0.2.53"})
	k := health.Key{Uplink: "up", Family: uplinks.IPv4}
	for _, rtt := range []time.Duration{time.Millisecond, 3 * time.Millisecond, 20 * time.Second} {
		s.Metrics().Observe(k, q, health.Outcome{RTT: rtt})
	}
	s.Metrics().Observe(k, q, health.Outcome{Err: errors.New("lost")})
	code, body := s.get(t, "/metrics")
	if code != 200 {
		t.Fatal(code)
	}
	const up = `{family="ipv4",interface="eth0",`
	expectContains(t, body,
		`replypath_build_info{version="v1.2.3"} 1`, "replypath_healthy 1", "replypath_ready 1", "replypath_in_sync 1",
		"replypath_last_sync_successful 1", "replypath_last_sync_timestamp_seconds 1.772600767e+09", "replypath_sync_rounds_total 3",
		"replypath_sync_changes_total 12", `replypath_repairs_total{kind="rule"} 2`, `replypath_repairs_total{kind="chains"} 0`,
		"replypath_repairs_waiting 6", "replypath_drift_steps 5",
		"replypath_config_file_in_force 0", "replypath_config_saved 1", "replypath_config_last_reload_successful 0", "replypath_config_last_reload_timestamp_seconds 1.700000001e+09",
		"replypath_uplink_up"+up+`uplink="up"} 1`, `replypath_uplink_up{family="ipv6",interface="eth1",uplink="unproven"} 1`,
		`replypath_uplink_up{family="ipv6",interface="eth2",uplink="down"} 0`, `replypath_uplink_up{family="ipv6",interface="eth3",uplink="absent"} 0`,
		"replypath_uplink_state"+up+`state="up",uplink="up"} 1`, "replypath_uplink_state"+up+`state="down",uplink="up"} 0`,
		"replypath_uplink_proven"+up+`uplink="up"} 1`, `replypath_uplink_proven{family="ipv6",interface="eth1",uplink="unproven"} 0`,
		"replypath_uplink_degraded"+up+`uplink="up"} 1`,
		"replypath_uplink_replies_total"+up+`path="symmetric",uplink="up"} 50`, "replypath_uplink_replies_total"+up+`path="stray",uplink="up"} 1`,
		"replypath_uplink_state_changes_total"+up+`uplink="up"} 4`, "replypath_uplink_flaps_total"+up+`uplink="up"} 3`,
		"replypath_uplink_hold_down_seconds"+up+`uplink="up"} 2.5`,
		"replypath_proof"+up+`result="yes",uplink="up",way="asked"} 1`, "replypath_proof"+up+`result="yes",uplink="up",way="shown"} 1`, "replypath_proof"+up+`result="yes",uplink="up",way="verdict"} 1`, "replypath_uplink_proof_warning"+up+`uplink="up"} 1`,
		"replypath_proof_timestamp_seconds"+up+`uplink="up"} 1.7000000005e+09`,
		"replypath_probe_up"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up"} 1`,
		"replypath_probe_bad_target"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up"} 1`,
		"replypath_probe_sent_total"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up"} 100`,
		"replypath_probe_lost_total"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up"} 7`,
		"replypath_probe_loss_ratio"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up"} 0.07`,
		"replypath_probe_rtt_seconds_bucket"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up",le="0.001"} 1`,
		"replypath_probe_rtt_seconds_bucket"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up",le="0.005"} 2`,
		"replypath_probe_rtt_seconds_count"+up+`probe="dns",target="icmp://192.0.2.53",uplink="up"} 3`,
		"go_goroutines ", "process_open_fds ")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

func TestSeriesOfRemovedUplinksDisappear(t *testing.T) {
	s := openServer(t)
	k := health.Key{Uplink: "up", Family: uplinks.IPv4}
	q := health.NewProbe("dns", health.Target{Kind: health.ICMP, Host: "192.0.2.53"})
	s.Metrics().Observe(k, q, health.Outcome{RTT: time.Millisecond})
	q.Target.Host = "192.0.2.54"
	s.Metrics().Observe(k, q, health.Outcome{RTT: time.Millisecond})
	_, body := s.get(t, "/metrics")
	// Answers of another target are not counted.
	expectContains(t, body, `replypath_probe_rtt_seconds_count{family="ipv4",interface="eth0",probe="dns",target="icmp://192.0.2.53",uplink="up"} 1`)
	s.update(func(h *health.Status) { h.Uplinks = h.Uplinks[1:] })
	if _, body = s.get(t, "/metrics"); strings.Contains(body, `uplink="up"`) || !strings.Contains(body, `uplink="down"`) {
		t.Errorf("series of the removed uplink:\n%s", body)
	}
	if len(s.metrics.rtts) != 0 {
		t.Errorf("its histogram is kept: %v", s.metrics.rtts)
	}
}

func TestInvalidUTF8AndDuplicatesDoNotBreakMetrics(t *testing.T) {
	s := openServer(t)
	s.update(func(h *health.Status) {
		h.Uplinks[0].Interface = "a\xff\"\n{"
		h.Uplinks[3].Families = append(h.Uplinks[3].Families, h.Uplinks[3].Families[0]) // duplicate: its series are invalid
	})
	code, body := s.get(t, "/metrics")
	if code != 200 {
		t.Errorf("%d", code)
	}
	expectContains(t, body, "replypath_healthy 1", `interface="a�\"\n{"`)
}
