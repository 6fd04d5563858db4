package monitor

import (
	"context"
	"fmt"
	"time"

	"replypath/health"
)

// proberGrace is how long after the probe's timeout a Prober may return.
const proberGrace = 250 * time.Millisecond

// maxSleep is the longest sleep of a probe loop.
const maxSleep = time.Hour

// probeLoop sends the probes of one path when they are due, until the path is removed or Run ends.
func (m *Monitor) probeLoop(p *pathState) {
	ctx := p.loopCtx
	timer := time.NewTimer(maxSleep)
	defer timer.Stop()
	for {
		var next time.Time
		m.update(func(e *engine, now time.Time) {
			if ctx.Err() == nil {
				next = e.runDue(p, now)
			}
		})
		sleep := maxSleep
		if !next.IsZero() {
			sleep = min(time.Until(next), maxSleep)
		}
		timer.Reset(sleep)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
	}
}

// probe sends one probe and records its outcome, unless that is of no use any more.
func (m *Monitor) probe(sent sentProbe) {
	probe := sent.state.probe
	o := m.runProber(sent.ctx, sent.path, probe)
	if sent.ctx.Err() != nil {
		return
	}
	if m.OnOutcome != nil {
		m.OnOutcome(sent.path.Key, probe, o)
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
