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

// setTimer sets the timer of the probe loop, which sends the probes of all paths when they are due. Its caller holds mu.
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
	batches := map[health.BatchProber][]sentProbe{}
	for _, sent := range probes {
		prober, ok := m.probers[sent.state.probe.Target.Kind].(health.BatchProber)
		if !ok {
			m.tasks.Go(func() {
				o := m.runProber(sent.ctx, *sent.path, sent.state.probe)
				m.record([]sentProbe{sent}, []health.BatchedOutcome{{Outcome: o}})
			})
			continue
		}
		if batches[prober] == nil {
			batches[prober] = make([]sentProbe, 0, len(probes))
		}
		batches[prober] = append(batches[prober], sent)
	}
	for prober, batch := range batches {
		m.sendBatch(prober, batch)
	}
}

func (m *Monitor) sendBatch(prober health.BatchProber, batch []sentProbe) {
	probes := make([]health.BatchedProbe, len(batch))
	for i, sent := range batch {
		probes[i] = health.BatchedProbe{Path: sent.path, Probe: &sent.state.probe}
	}
	prober.Send(probes, func(outcomes []health.BatchedOutcome) { m.record(batch, outcomes) })
}

// record records outcomes of sent probes, without those that are of no use any more.
func (m *Monitor) record(batch []sentProbe, outcomes []health.BatchedOutcome) {
	useful := false
	for i := range outcomes {
		o := &outcomes[i]
		sent := &batch[o.N]
		if sent.ctx.Err() != nil {
			continue
		}
		useful = true
		if m.OnOutcome != nil {
			m.OnOutcome(sent.path.Key, sent.state.probe, o.Outcome)
		}
	}
	if !useful {
		return
	}
	m.update(func(e *engine, now time.Time) {
		for i := range outcomes {
			o := &outcomes[i]
			if sent := &batch[o.N]; sent.ctx.Err() == nil {
				e.recordOutcome(sent.state, sent.sequence, now, o.Outcome)
			}
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
