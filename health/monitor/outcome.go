package monitor

import (
	"time"

	"replypath/health"
)

// recordOutcome takes the outcome of a sent probe through all steps that may change a state. One that the detector no longer
// waits for has no effect.
func (e *engine) recordOutcome(s *probeState, sequence uint64, now time.Time, o health.Outcome) {
	degraded := s.detector.degradation
	if !s.detector.Record(sequence, now, o) {
		return
	}
	p, before := s.owner, s.weight()
	before.degradation = degraded
	p.history.add(now, o)
	e.correlate(s, now, o.Err == nil)
	if o.Err != nil || s.weight() != before || !p.state.Usable() {
		e.evaluate(p, now)
	}
	e.runSoon(p)
}

// weight is what the state of a usable path depends on of one of its probes. Reasons for its failure are in no such state.
type weight struct {
	liveness    Liveness
	targetBad   bool
	degradation degradation
}

func (s *probeState) weight() weight {
	return weight{s.effective, s.targetBad(), s.detector.degradation}
}
