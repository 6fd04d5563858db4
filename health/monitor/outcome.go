package monitor

import (
	"time"

	"replypath/health"
)

// recordOutcome takes the outcome of a sent probe through all steps that may change a state. One that the detector no longer
// waits for has no effect.
func (e *engine) recordOutcome(s *probeState, sequence uint64, now time.Time, o health.Outcome) {
	if !s.detector.Record(sequence, now, o) {
		return
	}
	p := s.owner
	p.history.add(now, o)
	e.correlate(s, now, o.Err == nil)
	e.evaluate(p, now)
	e.runSoon(p)
}
