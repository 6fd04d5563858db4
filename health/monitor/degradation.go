package monitor

import (
	"fmt"
	"time"

	"replypath/health"
)

// degradation says whether loss and latency are beyond their thresholds, with hysteresis between High and Low.
type degradation struct{ loss, latency bool }

// update returns the degradation for a new state of the window. Probes that are missing in the window count as answered, so
// that one loss of two probes after the start is not 50 %.
func (d degradation) update(w *window, p health.Probe) degradation {
	lost := 100 * w.lost
	switch {
	case p.Loss.High == 0:
		d.loss = false
	case lost >= p.Loss.High*health.WindowSize:
		d.loss = true
	case lost <= p.Loss.Low*health.WindowSize:
		d.loss = false
	}
	mean := w.mean()
	switch {
	case p.Latency.High == 0:
		d.latency = false
	case mean >= p.Latency.High:
		d.latency = true
	case mean <= p.Latency.Low:
		d.latency = false
	}
	return d
}

// degradations names the thresholds that are exceeded, for people.
func (d *Detector) degradations() (all []string) {
	if d.degradation.loss {
		all = append(all, fmt.Sprintf("%s: %.0f %% of the last probes lost", d.probe.Target, d.window.loss()))
	}
	if d.degradation.latency {
		all = append(all, fmt.Sprintf("%s: mean round-trip time %v", d.probe.Target, d.window.mean().Round(100*time.Microsecond)))
	}
	return all
}
