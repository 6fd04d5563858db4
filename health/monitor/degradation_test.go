package monitor

import (
	"testing"
	"time"

	"replypath/health"
)

func TestDegradationHasHysteresis(t *testing.T) {
	p := icmpProbe(targetHost)
	p.Latency = health.LatencyThresholds{High: 100 * time.Millisecond, Low: 50 * time.Millisecond}
	var w window
	var s degradation
	add := func(n int, rtt time.Duration) {
		for range n {
			w.add(rtt)
			s = s.update(&w, p)
		}
	}
	expect := func(when string, loss, latency bool) {
		t.Helper()
		if want := (degradation{loss, latency}); s != want {
			t.Errorf("%s: %+v, want %+v (%.1f %%, %v)", when, s, want, w.loss(), w.mean())
		}
	}
	none := p
	none.Loss = health.LossThresholds{}
	if got := s.update(&w, none); got.loss {
		t.Error("degraded without a loss")
	}
	add(1, lostRTT)
	expect("one lost of one", false, false)
	add(4, lostRTT)
	expect("five lost of five", false, false)
	add(1, lostRTT)
	expect("six lost: a fifth of the window", true, false)
	add(24, 10*time.Millisecond)
	expect("six lost of thirty", true, false)
	add(2, 10*time.Millisecond)
	expect("four lost of thirty", true, false)
	add(1, 10*time.Millisecond)
	expect("three lost of thirty", false, false)
	add(30, 100*time.Millisecond)
	expect("slow", false, true)
	add(20, 30*time.Millisecond)
	expect("between the two", false, true)
	add(10, 30*time.Millisecond)
	expect("quick again", false, false)
}

func TestZeroThresholdsNeverDegrade(t *testing.T) {
	p := health.NewProbe("dns", health.Target{Kind: health.ICMP, Host: "203.0.113.9"})
	p.Loss = health.LossThresholds{}
	var w window
	for range health.WindowSize {
		w.add(lostRTT)
	}
	w.add(time.Minute)
	if got := (degradation{true, true}).update(&w, p); got != (degradation{}) {
		t.Errorf("degraded with zero thresholds: %+v", got)
	}
	p.Loss = health.LossThresholds{High: 20, Low: 10}
	if got := (degradation{}).update(&w, p); got != (degradation{loss: true}) {
		t.Errorf("all but one lost: %+v", got)
	}
}
