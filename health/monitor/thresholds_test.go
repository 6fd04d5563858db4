package monitor

import (
	"testing"
	"time"

	"replypath/health"
)

func TestZeroThresholdsNeverDegrade(t *testing.T) {
	p := health.NewProbe("dns", health.Target{Kind: health.ICMP, Host: "203.0.113.9"})
	p.Loss = health.LossThresholds{}
	var w window
	for range health.WindowSize {
		w.add(lostRTT)
	}
	w.add(time.Minute)
	if got := (degradation{true, true}).update(&w, p); got != (degradation{}) {
		t.Errorf("loss and latency are not looked at, and yet: %+v", got)
	}
	p.Loss = health.LossThresholds{High: 20, Low: 10}
	if got := (degradation{}).update(&w, p); got != (degradation{loss: true}) {
		t.Errorf("nearly all are lost: %+v", got)
	}
}
