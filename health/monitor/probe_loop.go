package monitor

import (
	"context"
	"fmt"
	"time"

	"replypath/health"
)

// proberGrace is how long after the probe's timeout a Prober may return.
const proberGrace = 250 * time.Millisecond

// maxSleep is the longest sleep of the probe loop.
const maxSleep = time.Hour

// probeLoop sends the probes of all paths when they are due, until ctx is done. An update that changes when the next one is due sets
// the timer, which wakes no goroutine.
func (m *Monitor) probeLoop(ctx context.Context, timer *time.Timer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			m.update(func(*engine, time.Time) {})
		}
	}
}

// setTimer sets the timer of the probe loop. Its caller holds mu.
func (m *Monitor) setTimer(next, now time.Time) {
	if next.Equal(m.timerAt) && next.After(now) {
		return
	}
	m.timerAt = next
	sleep := maxSleep
	if !next.IsZero() {
		sleep = min(next.Sub(now), maxSleep)
	}
	m.timer.Reset(sleep)
}

// sendAll sends the probes: those of a BatchProber in one batch, each other one by a goroutine that waits for its outcome.
func (m *Monitor) sendAll(probes []sentProbe) {
	batches := map[health.BatchProber][]health.BatchedProbe{}
	for _, sent := range probes {
		prober, ok := m.probers[sent.state.probe.Target.Kind].(health.BatchProber)
		if !ok {
			m.tasks.Go(func() { m.record(sent, m.runProber(sent.ctx, *sent.path, sent.state.probe)) })
			continue
		}
		report := func(o health.Outcome) { m.record(sent, o) }
		if batches[prober] == nil {
			batches[prober] = make([]health.BatchedProbe, 0, len(probes))
		}
		batches[prober] = append(batches[prober], health.BatchedProbe{Path: sent.path, Probe: &sent.state.probe, Report: report})
	}
	for prober, batch := range batches {
		prober.Send(batch)
	}
}

// record records the outcome of a sent probe, unless that is of no use any more.
func (m *Monitor) record(sent sentProbe, o health.Outcome) {
	if sent.ctx.Err() != nil {
		return
	}
	if m.OnOutcome != nil {
		m.OnOutcome(sent.path.Key, sent.state.probe, o)
	}
	m.update(func(e *engine, now time.Time) {
		if sent.ctx.Err() == nil {
			e.recordOutcome(sent.state, sent.sequence, now, o)
		}
	})
}

func (m *Monitor) runProber(ctx context.Context, path health.Path, p health.Probe) health.Outcome {
	prober, ok := m.probers[p.Target.Kind]
	if !ok {
		return health.Outcome{Sent: time.Now(), Err: fmt.Errorf("probes of the kind %q are not supported", p.Target.Kind)}
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout+proberGrace)
	defer cancel()
	return prober.Probe(ctx, path, p)
}
