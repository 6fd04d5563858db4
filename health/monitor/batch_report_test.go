package monitor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// heldBatches is a health.BatchProber whose outcomes the test reports.
type heldBatches struct {
	fakeNetwork
	all []heldBatch
}

type heldBatch struct {
	uplinks []string
	report  func([]health.BatchedOutcome)
}

// Send implements health.BatchProber.
func (b *heldBatches) Send(probes []health.BatchedProbe, report func([]health.BatchedOutcome)) {
	held := heldBatch{report: report}
	for _, p := range probes {
		held.uplinks = append(held.uplinks, p.Path.Uplink)
	}
	b.all = append(b.all, held)
}

// outcomes returns the outcome of each probe: an answer, unless the uplink is the one that fails.
func (b heldBatch) outcomes(failing string) (all []health.BatchedOutcome) {
	for n, uplink := range b.uplinks {
		o := health.Outcome{Sent: time.Now(), RTT: time.Millisecond}
		if uplink == failing {
			o.Err = errors.New("no answer")
		}
		all = append(all, health.BatchedOutcome{N: n, Outcome: o})
	}
	return all
}

func TestOutcomesThatAreReportedTogetherCountEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			s     health.Settings
			paths []health.Path
		)
		for i, name := range []string{"fibre", "lte", "dsl"} {
			s.Uplinks = append(s.Uplinks, health.UplinkSettings{Name: name, Probes: []health.Probe{batchedProbe()}, Quorum: 1})
			paths = append(paths, testPath(name, i, uplinks.IPv4))
		}
		prober, observed := &heldBatches{}, 0
		m := New(map[health.ProbeKind]health.Prober{health.Gateway: prober})
		m.OnOutcome = func(health.Key, health.Probe, health.Outcome) { observed++ }
		m.Configure(s, paths)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		synctest.Wait()
		if len(prober.all) != 1 || len(prober.all[0].uplinks) != len(paths) {
			t.Fatalf("the first batches: %+v", prober.all)
		}
		first := prober.all[0]
		m.Configure(health.Settings{Uplinks: s.Uplinks[:2]}, paths[:2]) // the outcome for dsl is of no use any more
		first.report(first.outcomes("lte"))
		if observed != 2 {
			t.Errorf("%d outcomes are observed, want two", observed)
		}
		status := m.Status()
		if got := []health.State{status[0].State, status[1].State}; got[0] != health.Up || got[1] == health.Up {
			t.Errorf("after an answer and a loss: %s", got)
		}
		first.report(first.outcomes("")) // each counts once
		if now := m.Status(); now[1].State == health.Up {
			t.Error("a second outcome of a probe counts")
		}
		cancel()
		<-ended
	})
}
