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

// degradationEvent is the kind of events that are for Monitor.OnDegradation.
const degradationEvent = "degradation"

// evaluateDegradation emits that a path that is usable became degraded, and that it no longer is. The thresholds of each probe
// have a hysteresis; a path is degraded when fewer of its probes than its quorum are within theirs.
func (e *engine) evaluateDegradation(p *pathState) {
	is := p.state.Usable() && p.isDegraded()
	if is == p.degraded {
		return
	}
	p.degraded = is
	event := health.Event{Kind: degradationEvent}
	if is {
		event.To = degradationEvent
	}
	e.emitPath(p, event)
}

// isDegraded reports whether fewer probes than the quorum, of those that count, are answered within their thresholds.
func (p *pathState) isDegraded() bool {
	counted, good := 0, 0
	for _, s := range p.probes {
		if s.targetBad() {
			continue
		}
		counted++
		if s.effective != Dead && s.detector.degradation == (degradation{}) {
			good++
		}
	}
	return good < min(max(p.uplink.Quorum, 1), counted)
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
