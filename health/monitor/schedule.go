package monitor

import (
	"context"
	"time"
)

// runDue sends the path's probes that are due, handles the deadlines that have passed, and returns when to be called again.
func (e *engine) runDue(p *pathState, now time.Time) (next time.Time) {
	if p.canProbe() {
		for _, s := range p.probes {
			next = earliest(next, e.probeIfDue(s, now))
		}
	}
	e.handleDeadlines(p, now)
	return earliest(next, p.nextReview())
}

// probeIfDue sends the probe if it is due, has the target probed by other uplinks when a failure is suspected, and returns
// when to be called again.
func (e *engine) probeIfDue(s *probeState, now time.Time) time.Time {
	due := s.detector.NextDue()
	if !due.IsZero() && !due.After(now) {
		e.send(s, now)
		due = s.detector.NextDue()
	}
	switch since := s.detector.SuspectSince(); {
	case since.IsZero() || since.Equal(s.crossCheckedFor):
	case since.After(now):
		due = earliest(due, since)
	default:
		s.crossCheckedFor = since
		e.crossCheck(s, since)
	}
	return due
}

// send counts the probe as sent, and has the monitor send it.
func (e *engine) send(s *probeState, now time.Time) {
	p := s.owner
	if p.probeCtx == nil {
		p.probeCtx, p.cancelProbes = context.WithCancel(p.runCtx)
	}
	e.output.probes = append(e.output.probes, sentProbe{p.probeCtx, p.path, s, s.detector.Sent(now)})
}

// handleDeadlines attributes failures whose deadline has passed, and reviews hold-downs and stray replies that have expired.
func (e *engine) handleDeadlines(p *pathState, now time.Time) {
	for _, s := range p.probes {
		if t := s.target; t.attributionPending && !now.Before(t.attributionDeadline) {
			e.reassessTarget(t, now)
		}
	}
	if !p.reviewAt.IsZero() && !now.Before(p.reviewAt) {
		e.evaluate(p, now)
	}
}

// nextReview returns when handleDeadlines has something to do; zero: never.
func (p *pathState) nextReview() time.Time {
	next := p.reviewAt
	for _, s := range p.probes {
		if s.target.attributionPending {
			next = earliest(next, s.target.attributionDeadline)
		}
	}
	return next
}

// earliest returns the earlier of two times; zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
