package monitor

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"replypath/health"
)

// batchingNetwork is a fakeNetwork that sends probes in batches.
type batchingNetwork struct {
	*fakeNetwork
	ctx     context.Context
	batches [][]string // the uplinks of each
	waiting int        // outcomes that are not reported
}

// Send implements health.BatchProber. It reports the probes that it cannot send at once.
func (n *batchingNetwork) Send(batch []health.BatchedProbe, report func([]health.BatchedOutcome)) {
	var sent []string
	for i, b := range batch {
		sent = append(sent, b.Path.Uplink)
		probe := func() { report([]health.BatchedOutcome{{N: i, Outcome: n.Probe(n.ctx, *b.Path, *b.Probe)}}) }
		if n.fails(b.Path.Uplink) {
			probe()
			continue
		}
		n.addWaiting(1)
		go func() {
			defer n.addWaiting(-1)
			probe()
		}()
	}
	slices.Sort(sent)
	n.set(func(*fakeNetwork) { n.batches = append(n.batches, sent) })
}

func (n *batchingNetwork) fails(uplink string) (fails bool) {
	n.set(func(f *fakeNetwork) { fails = f.sendFails[uplink] })
	return fails
}

func (n *batchingNetwork) addWaiting(change int) { n.set(func(*fakeNetwork) { n.waiting += change }) }

// takeBatches returns the batches since the last call.
func (n *batchingNetwork) takeBatches() (all [][]string) {
	n.set(func(*fakeNetwork) { all, n.batches = n.batches, nil })
	return all
}

func batchedProbe() health.Probe {
	return health.NewProbe("gateway", health.Target{Kind: health.Gateway})
}

func TestProbesThatAreDueTogetherAreSentInOneBatch(t *testing.T) {
	var names []string
	for i := range 2 * staggerSlots {
		names = append(names, fmt.Sprintf("uplink%02d", i))
	}
	withMonitor(t, names, []health.Probe{batchedProbe()}, func(h *harness) {
		h.advance(10 * time.Millisecond)
		if all := h.batched.takeBatches(); len(all) != 1 || !slices.Equal(all[0], names) {
			t.Errorf("the first probes: %q", all)
		}
		h.advance(10 * time.Second)
		h.batched.takeBatches()
		h.advance(time.Second)
		all := h.batched.takeBatches()
		if len(all) != gatewaySlots {
			t.Errorf("%d batches in a second: %q", len(all), all)
		}
		sent := slices.Concat(all...)
		if slices.Sort(sent); !slices.Equal(sent, names) {
			t.Errorf("%q", sent)
		}
		h.expectStates("all answer", slices.Repeat([]health.State{health.Up}, len(names))...)
	})
}

// The probes of an uplink that answers go on as before, although those of others in the same batch fail at once or are lost.
func TestFailuresInABatchDelayNoOtherProbe(t *testing.T) {
	names := []string{"fibre", "lte", "dsl"}
	withMonitor(t, names, []health.Probe{batchedProbe()}, func(h *harness) {
		h.advance(10 * time.Second)
		h.network.set(func(n *fakeNetwork) { n.sendFails["lte"], n.blackholed["dsl"] = true, true })
		h.batched.takeBatches()
		before := h.network.count("fibre")
		h.advance(60 * time.Second)
		if sent := h.network.count("fibre") - before; sent < 60 || sent > 60+maxCrossChecks*2 {
			t.Errorf("%d probes in a minute", sent)
		}
		h.expectStates("two of three fail", health.Up, health.Down, health.Down)
		h.network.set(func(n *fakeNetwork) { n.sendFails["lte"], n.blackholed["dsl"] = false, false })
		h.waitForState("lte", health.Up)
		h.waitForState("dsl", health.Up)
	})
}

func TestProbesOfARemovedPathAreSentNoMore(t *testing.T) {
	withMonitor(t, []string{"fibre", "lte"}, []health.Probe{batchedProbe()}, func(h *harness) {
		h.advance(5 * time.Second)
		h.settings.Uplinks, h.paths = h.settings.Uplinks[:1], h.paths[:1]
		h.configure()
		before := h.network.count("lte")
		h.advance(10 * time.Second)
		if after := h.network.count("lte"); after != before {
			t.Errorf("%d probes after the path was removed", after-before)
		}
		if len(h.monitor.engine.agenda) != 1 {
			t.Errorf("%d paths are in the agenda", len(h.monitor.engine.agenda))
		}
	})
}

func TestAgendaReturnsWhatIsDue(t *testing.T) {
	var (
		a     agenda
		began = time.Now()
		all   []*pathState
	)
	for _, after := range []time.Duration{7, 3, 9, 1, 5, 3} {
		p := &pathState{}
		a.set(p, began.Add(after))
		all = append(all, p)
	}
	a.set(all[2], began.Add(2)) // earlier
	a.set(all[3], began.Add(8)) // later
	a.set(all[4], time.Time{})  // never
	a.set(all[4], time.Time{})
	due := a.appendDue(nil, began.Add(7))
	if len(due) != 4 || slices.Contains(due, all[3]) || slices.Contains(due, all[4]) {
		t.Errorf("%d are due, want all but the fourth and the fifth", len(due))
	}
	if next := a.next(); !next.Equal(began.Add(8)) {
		t.Errorf("the next is due after %v", next.Sub(began))
	}
	if a.remove(all[3]); len(a) != 0 || !a.next().IsZero() {
		t.Errorf("%d are left", len(a))
	}
}
