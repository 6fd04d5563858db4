package health

import (
	"context"
	"fmt"
	"time"
)

// slack is how long after the timeout an asker may take to say that nobody has answered.
const slack = 250 * time.Millisecond

// idle is the longest time for which a path's goroutine sleeps.
const idle = time.Hour

// keep asks through one path until the context ends.
func (m *Monitor) keep(ctx context.Context, w *watch) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		sleep := idle
		if next := m.turn(ctx, w); !next.IsZero() {
			sleep = min(time.Until(next), idle)
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

// turn puts the questions that are due, looks at what has had its time, and says when to come again.
func (m *Monitor) turn(ctx context.Context, w *watch) (next time.Time) {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	if ctx.Err() != nil {
		return time.Time{}
	}
	if w.asks() {
		for _, i := range w.inquiries {
			next = sooner(next, m.pursue(ctx, i, now))
		}
	}
	m.look(w, now)
	return sooner(next, w.next())
}

// pursue puts the inquiry's next question when it is due, asks others when something seems to be wrong, and says when
// to come again.
func (m *Monitor) pursue(ctx context.Context, i *inquiry, now time.Time) time.Time {
	due := i.judge.Next()
	if !due.IsZero() && !due.After(now) {
		m.put(ctx, i, now)
		due = i.judge.Next()
	}
	switch since := i.judge.Doubt(); {
	case since.IsZero() || since.Equal(i.doubt):
	case since.After(now):
		due = sooner(due, since)
	default:
		i.doubt = since
		m.crossCheck(i, since)
	}
	return due
}

// put puts one question, in a goroutine of its own.
func (m *Monitor) put(ctx context.Context, i *inquiry, now time.Time) {
	w := i.of
	if w.questions == nil {
		w.questions, w.drop = context.WithCancel(ctx)
	}
	questions, path, number := w.questions, w.path, i.judge.Ask(now)
	m.tasks.Go(func() { m.ask(questions, path, i, number) })
}

// ask puts a question and takes in what came of it, unless nobody wants to know any more.
func (m *Monitor) ask(ctx context.Context, path Path, i *inquiry, number uint64) {
	o := m.outcome(ctx, path, i.probe)
	if ctx.Err() != nil {
		return
	}
	if m.Answered != nil {
		m.Answered(path.Key, i.probe, o)
	}
	m.mu.Lock()
	defer m.unlock()
	if ctx.Err() == nil {
		m.hear(i, number, time.Now(), o)
	}
}

func (m *Monitor) outcome(ctx context.Context, path Path, p Probe) Outcome {
	asker, known := m.askers[p.Target.Kind]
	if !known {
		return Outcome{Sent: time.Now(), Err: fmt.Errorf("nobody can ask targets of the kind %q", p.Target.Kind)}
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout+slack)
	defer cancel()
	return asker.Ask(ctx, path, p)
}

// hear takes in what came of a question.
func (m *Monitor) hear(i *inquiry, number uint64, now time.Time, o Outcome) {
	if !i.judge.Hear(number, now, o) {
		return
	}
	w := i.of
	w.history.add(now, o)
	m.consider(i, now, o.Err == nil)
	m.evaluate(w, now)
	w.nudge()
}
