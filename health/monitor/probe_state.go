package monitor

import (
	"fmt"
	"time"

	"replypath/health"
)

// probeState is the state of one probe of one path. The detector says whether the target is alive through this path;
// effective is what counts of that, as a target that fails on all uplinks takes none of them down.
type probeState struct {
	probe    health.Probe // never changes
	owner    *pathState
	target   *sharedTarget
	detector *Detector

	effective       Liveness  // the liveness that counts in the quorum
	attributed      bool      // the failure was attributed to the uplink
	failedAt        time.Time // when the detector turned Dead; zero: it has not since its last restart
	suspectSince    time.Time // when that failure began to show
	crossCheckedFor time.Time // the SuspectSince for which other uplinks have probed the target already
}

// restart restarts the detector with a liveness that counts.
func (s *probeState) restart(l Liveness) {
	s.detector.Restart(l)
	s.effective, s.attributed, s.failedAt = l, l == Dead, time.Time{}
}

// suspend restarts the probe while its link is unfit. A target that was decided must then answer Rise times again, unless it
// is bad, or the path is on standby: nothing has failed.
func (s *probeState) suspend(state health.State) {
	if s.effective == Undecided || s.targetBad() || state == health.Standby {
		s.restart(Undecided)
		return
	}
	s.restart(Dead)
}

// targetBad reports whether the target fails on all uplinks, and so says nothing about this one.
func (s *probeState) targetBad() bool { return s.target.bad && !s.attributed }

func (s *probeState) vote() vote {
	return vote{liveness: s.effective, targetBad: s.targetBad(), reason: func() string { return s.probe.Target.String() + ": " + s.reason() }}
}

// reason says why the target is not alive.
func (s *probeState) reason() string {
	switch stats := s.detector.stats; {
	case stats.lastErr != nil && s.detector.lostInRow > 0:
		return fmt.Sprintf("%v (%d lost)", stats.lastErr, s.detector.lostInRow)
	case s.detector.answeredInRow > 0:
		return fmt.Sprintf("answers again, %d of %d in a row", s.detector.answeredInRow, s.probe.Rise)
	}
	return "not answered yet"
}
