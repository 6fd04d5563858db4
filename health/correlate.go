package health

import "time"

// correlate draws the conclusions from what a judge has just heard.
func (m *Monitor) correlate(i *probeState, now time.Time, answered bool) {
	c := i.target
	if answered && c.bad {
		m.clearBadTarget(c, now)
	}
	fell := false
	switch i.detector.liveness {
	case Alive:
		i.effective, i.attributed, i.failedAt = Alive, false, time.Time{}
	case Dead:
		if fell = i.failedAt.IsZero() && !i.attributed; fell {
			i.failedAt, i.suspectSince = now, i.detector.SuspectSince()
		}
	}
	if fell || c.attributionPending {
		m.reassessTarget(c, now)
	}
}

// reassessTarget finds out whose falls count and whether the target is bad.
func (m *Monitor) reassessTarget(c *sharedTarget, now time.Time) {
	if c.bad {
		return
	}
	members := c.active()
	all := make([]targetReport, 0, len(members))
	for _, i := range members {
		all = append(all, i.report())
	}
	fallen, bad, next := attributeFailure(all, now)
	c.attributionPending, c.attributionDeadline = !next.IsZero(), next
	for _, n := range fallen {
		i := members[n]
		i.effective, i.attributed = Dead, true
		m.evaluate(i.path, now)
	}
	if len(fallen) > 0 {
		m.reassessTarget(c, now) // one witness less
		return
	}
	if bad {
		c.bad = true
		m.emitTarget(c, members, now)
		m.evaluateTargetPaths(c, now)
	}
	for _, i := range members {
		if c.attributionPending && !i.failedAt.IsZero() && !i.attributed {
			i.path.wakeUp()
		}
	}
}

// clearBadTarget ends that a target is bad, since somebody has been answered. Those on whom it failed begin anew: their
// misses were the target's.
func (m *Monitor) clearBadTarget(c *sharedTarget, now time.Time) {
	c.bad = false
	for _, i := range c.probes {
		if !i.attributed && !i.failedAt.IsZero() {
			i.restart(i.effective)
			i.path.wakeUp()
		}
	}
	m.emitTarget(c, c.probes, now)
	m.evaluateTargetPaths(c, now)
}

func (m *Monitor) evaluateTargetPaths(c *sharedTarget, now time.Time) {
	for _, i := range c.probes {
		m.evaluate(i.path, now)
	}
}

// maxCrossChecks is how many others are asked when a target does not answer: one answer tells that it is not the target.
const maxCrossChecks = 3

// crossCheck has the target asked by others soon, when it seems to be wrong on this uplink since then.
func (m *Monitor) crossCheck(i *probeState, since time.Time) {
	var others []*probeState
	for _, other := range i.target.probes {
		if other == i || other.effective != Alive || !other.failedAt.IsZero() || !other.path.canProbe() {
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
		other.path.wakeUp()
	}
}

// handleDeadlines sees to what has had its time: falls that count now, hold-downs and strays that are over.
func (m *Monitor) handleDeadlines(w *pathState, now time.Time) {
	for _, i := range w.probes {
		if c := i.target; c.attributionPending && !now.Before(c.attributionDeadline) {
			m.reassessTarget(c, now)
		}
	}
	if !w.reviewAt.IsZero() && !now.Before(w.reviewAt) {
		m.evaluate(w, now)
	}
}
