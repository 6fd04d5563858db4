package health

import (
	"testing"
	"time"
)

func TestThresholdsThatAreOff(t *testing.T) {
	p := NewProbe("dns", Target{Kind: ICMP, Host: "203.0.113.9"})
	p.Loss = Percents{}
	var w window
	for range Window {
		w.add(missed)
	}
	w.add(time.Minute)
	if got := (strain{true, true}).after(&w, p); got != (strain{}) {
		t.Errorf("loss and latency are not looked at, and yet: %+v", got)
	}
	p.Loss = Percents{High: 20, Low: 10}
	if got := (strain{}).after(&w, p); got != (strain{loss: true}) {
		t.Errorf("nearly all are lost: %+v", got)
	}
}
