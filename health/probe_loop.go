package health

import (
	"context"
	"fmt"
	"time"
)

// proberGrace is how long after the timeout an asker may take to say that nobody has answered.
const proberGrace = 250 * time.Millisecond

// maxSleep is the longest time for which a path's goroutine sleeps.
const maxSleep = time.Hour

// probeLoop asks through one path until the context ends.
func (m *Monitor) probeLoop(ctx context.Context, w *pathState) {
	timer := time.NewTimer(maxSleep)
	defer timer.Stop()
	for {
		sleep := maxSleep
		if next := m.runDue(ctx, w); !next.IsZero() {
			sleep = min(time.Until(next), maxSleep)
		}
		timer.Reset(sleep)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.wake:
		}
	}
}

// runDue puts the questions that are due, looks at what has had its time, and says when to come again.
func (m *Monitor) runDue(ctx context.Context, w *pathState) (next time.Time) {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	if ctx.Err() != nil {
		return time.Time{}
	}
	if w.canProbe() {
		for _, i := range w.probes {
			next = earliest(next, m.probeIfDue(ctx, i, now))
		}
	}
	m.handleDeadlines(w, now)
	return earliest(next, w.nextReview())
}

// probeIfDue puts the inquiry's next question when it is due, asks others when something seems to be wrong, and says when
// to come again.
func (m *Monitor) probeIfDue(ctx context.Context, i *probeState, now time.Time) time.Time {
	due := i.detector.NextDue()
	if !due.IsZero() && !due.After(now) {
		m.startProbe(ctx, i, now)
		due = i.detector.NextDue()
	}
	switch since := i.detector.SuspectSince(); {
	case since.IsZero() || since.Equal(i.crossCheckedFor):
	case since.After(now):
		due = earliest(due, since)
	default:
		i.crossCheckedFor = since
		m.crossCheck(i, since)
	}
	return due
}

// startProbe puts one question, in a goroutine of its own.
func (m *Monitor) startProbe(ctx context.Context, i *probeState, now time.Time) {
	w := i.path
	if w.probeCtx == nil {
		w.probeCtx, w.cancelProbes = context.WithCancel(ctx)
	}
	questions, path, number := w.probeCtx, w.path, i.detector.Sent(now)
	m.tasks.Go(func() { m.probe(questions, path, i, number) })
}

// probe puts a question and takes in what came of it, unless nobody wants to know any more.
func (m *Monitor) probe(ctx context.Context, path Path, i *probeState, number uint64) {
	o := m.runProber(ctx, path, i.probe)
	if ctx.Err() != nil {
		return
	}
	if m.OnOutcome != nil {
		m.OnOutcome(path.Key, i.probe, o)
	}
	m.mu.Lock()
	defer m.unlock()
	if ctx.Err() == nil {
		m.recordOutcome(i, number, time.Now(), o)
	}
}

func (m *Monitor) runProber(ctx context.Context, path Path, p Probe) Outcome {
	prober, ok := m.probers[p.Target.Kind]
	if !ok {
		return Outcome{Sent: time.Now(), Err: fmt.Errorf("nobody can ask targets of the kind %q", p.Target.Kind)}
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout+proberGrace)
	defer cancel()
	return prober.Probe(ctx, path, p)
}

// recordOutcome takes in what came of a question.
func (m *Monitor) recordOutcome(i *probeState, number uint64, now time.Time, o Outcome) {
	if !i.detector.Record(number, now, o) {
		return
	}
	w := i.path
	w.history.add(now, o)
	m.correlate(i, now, o.Err == nil)
	m.evaluate(w, now)
	w.wakeUp()
}
