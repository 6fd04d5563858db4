package health

import (
	"testing"
	"time"
)

func TestZeroThresholdsNeverDegrade(t *testing.T) {
	p := NewProbe("dns", Target{Kind: ICMP, Host: "203.0.113.9"})
	p.Loss = LossThresholds{}
	var w window
	for range WindowSize {
		w.add(lostRTT)
	}
	w.add(time.Minute)
	if got := (degradation{true, true}).update(&w, p); got != (degradation{}) {
		t.Errorf("loss and latency are not looked at, and yet: %+v", got)
	}
	p.Loss = LossThresholds{High: 20, Low: 10}
	if got := (degradation{}).update(&w, p); got != (degradation{loss: true}) {
		t.Errorf("nearly all are lost: %+v", got)
	}
}
