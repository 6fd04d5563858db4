package monitor

import "time"

// correlate applies the detector's liveness to the probe: an answer at once, a failure once reassessTarget has found that it
// is the uplink's and not the target's.
func (e *engine) correlate(s *probeState, now time.Time, answered bool) {
	t := s.target
	if answered && t.bad {
		e.clearBadTarget(t, now)
	}
	failed := false
	switch s.detector.liveness {
	case Alive:
		s.effective, s.attributed, s.failedAt = Alive, false, time.Time{}
	case Dead:
		if failed = s.failedAt.IsZero() && !s.attributed; failed {
			s.failedAt, s.suspectSince = now, s.detector.SuspectSince()
		}
	}
	if failed || t.attributionPending {
		e.reassessTarget(t, now)
	}
}

// reassessTarget attributes the failures of a target to uplinks, or finds that the target is bad.
func (e *engine) reassessTarget(t *sharedTarget, now time.Time) {
	if t.bad {
		return
	}
	active := t.active()
	reports := make([]targetReport, 0, len(active))
	for _, s := range active {
		reports = append(reports, s.report())
	}
	attributed, bad, deadline := attributeFailure(reports, now)
	t.attributionPending, t.attributionDeadline = !deadline.IsZero(), deadline
	for _, i := range attributed {
		s := active[i]
		s.effective, s.attributed = Dead, true
		e.evaluate(s.owner, now)
	}
	if len(attributed) > 0 {
		e.reassessTarget(t, now) // with fewer candidates
		return
	}
	if bad {
		t.bad = true
		e.emitTarget(t, active, now)
		e.evaluateTargetPaths(t, now)
	}
	for _, s := range active {
		if t.attributionPending && !s.failedAt.IsZero() && !s.attributed {
			e.runSoon(s.owner)
		}
	}
}

// clearBadTarget ends that a target is bad after an answer. Probes whose losses were the target's restart.
func (e *engine) clearBadTarget(t *sharedTarget, now time.Time) {
	t.bad = false
	for _, s := range t.probes {
		if !s.attributed && !s.failedAt.IsZero() {
			s.restart(s.effective)
			e.runSoon(s.owner)
		}
	}
	e.emitTarget(t, t.probes, now)
	e.evaluateTargetPaths(t, now)
}

func (e *engine) evaluateTargetPaths(t *sharedTarget, now time.Time) {
	for _, s := range t.probes {
		e.evaluate(s.owner, now)
	}
}

// maxCrossChecks is the number of other uplinks that probe a suspect target: one answer is enough to clear it.
const maxCrossChecks = 3

// crossCheck expedites probes of the target on other uplinks when it is suspected to have failed on this one, unless one was
// sent or answered since then.
func (e *engine) crossCheck(s *probeState, since time.Time) {
	var others []*probeState
	for _, other := range s.target.probes {
		if other == s || other.effective != Alive || !other.failedAt.IsZero() || !other.owner.canProbe() {
			continue
		}
		if !other.detector.lastAnswered.Before(since) || !other.detector.lastSent.Before(since) {
			return
		}
		if len(others) < maxCrossChecks {
			others = append(others, other)
		}
	}
	for _, other := range others {
		other.detector.Expedite()
		e.runSoon(other.owner)
	}
}
