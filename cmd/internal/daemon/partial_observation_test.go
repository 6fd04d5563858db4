package daemon

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// observedKernel is a kernel that notes what of it is looked at.
type observedKernel struct {
	*uplinkstest.Fake
	observations [][]uplinks.Scope
	nextErr      error // of the next look
}

func (a *observedKernel) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	a.observations = append(a.observations, only)
	if err := a.nextErr; err != nil {
		a.nextErr = nil
		return uplinks.Facts{}, uplinks.State{}, err
	}
	return a.Fake.Observe(ctx, only...)
}

// lastWasFull reports whether the last look was at the whole host.
func lastWasFull(observations [][]uplinks.Scope) bool {
	return len(observations) > 0 && observations[len(observations)-1] == nil
}

func TestOnlyTheScopeOfAChangeIsObserved(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := NewReconciler(kernel, discardLog, uplinkstest.Settings(), &verdicts{queue: newRoundQueue()}, noListener{})
	round := func(at ...uplinks.ChangedScope) [][]uplinks.Scope {
		kernel.observations = nil
		k.Reconcile(t.Context(), "test", at...)
		return kernel.observations
	}
	eth0 := uplinkstest.Settings().ScopesOf("eth0")
	place := uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
	for range 2 {
		if !lastWasFull(round(place)) {
			t.Error("before all was seen to be in order, or after a repair, the whole host is looked at")
		}
	}
	if got := round(place); len(got) != 1 || !slices.Equal(got[0], eth0) {
		t.Errorf("looked at %v", got)
	}
	table := uplinks.Scope{Table: eth0[0].Table}
	if got := round(uplinks.ChangedScope{Table: table.Table}); len(got) != 1 || !slices.Equal(got[0], []uplinks.Scope{table}) {
		t.Errorf("a change of its table: looked at %v", got)
	}
	if got := round(uplinks.ChangedScope{Table: table.Table}, place); len(got) != 1 || !slices.Equal(got[0], eth0) {
		t.Errorf("a change of its table and its link: looked at %v", got)
	}
	if !lastWasFull(round()) || !lastWasFull(round(place, uplinks.ChangedScope{Link: 4711})) {
		t.Error("a place that nobody knows is not looked for in the whole host")
	}
	l := facts.Links["eth0"]
	l.Up, l.Carrier = false, false
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if got := round(place); len(got) != 1 || k.Report().InSync || k.lastFacts.Links["eth0"].Up {
		t.Errorf("a link that is down: looked at %v, %+v", got, k.Report())
	}
	if got := round(uplinks.ChangedScope{Link: facts.Links["eth1"].Index}); len(got) != 1 || !slices.Contains(got[0], table) || !k.Report().InSync {
		t.Errorf("what was repaired is not looked at again: %v, %+v", got, k.Report())
	}
	l.Addrs = nil
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if got := round(place); len(got) != 2 || !lastWasFull(got) {
		t.Errorf("rules go by addresses, but only %v was looked at when one went", got)
	}
}

// Where only a part of the host is looked at, a rival is told from a link that comes and goes all the same.
func TestConflictIsDetectedByPartialObservations(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := NewReconciler(kernel, discardLog, uplinkstest.Settings(), &verdicts{queue: newRoundQueue()}, noListener{})
	eth0 := uplinkstest.Settings().ScopesOf("eth0")[0]
	place := uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
	round := func(at uplinks.ChangedScope) Report {
		k.Reconcile(t.Context(), "test", at)
		return k.Report()
	}
	for range 3 {
		round(place)
	}
	kernel.observations = nil
	carrier := func(up bool) {
		l := facts.Links["eth0"]
		l.Up, l.Carrier = up, up
		if facts.Links["eth0"] = l; !up {
			l.Defaults = nil
		}
		kernel.SetFacts(facts.Merge(uplinks.Facts{Scopes: []uplinks.Scope{eth0}, Links: map[string]uplinks.Link{"eth0": l}}))
	}
	for range 2 * freeRepairs {
		for _, up := range []bool{false, true} {
			carrier(up)
			round(place)
			if r := round(place); r.Waiting != 0 || !r.InSync {
				t.Fatalf("a link comes and goes: %+v", r)
			}
		}
	}
	for n := range freeRepairs + 1 {
		_, have, err := kernel.Fake.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for key, route := range have.Routes {
			if key.Table == eth0.Table {
				kernel.ApplyForeign(t, uplinks.DelRoute{Key: key, Route: route})
			}
		}
		r := round(uplinks.ChangedScope{Table: eth0.Table})
		if waits := r.Waiting > 0; waits != (n >= freeRepairs) {
			t.Fatalf("somebody took the routes %d times: %+v", n+1, r)
		}
	}
	if slices.ContainsFunc(kernel.observations, func(only []uplinks.Scope) bool { return only == nil }) {
		t.Errorf("the whole host was looked at: %v", kernel.observations)
	}
}

// A host on which something happens all the time is looked at as a whole as often as one that is silent.
func TestEventsDoNotDelayTheFullResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		facts := uplinkstest.Facts()
		kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
		k := NewReconciler(kernel, discardLog, uplinkstest.Settings(), &verdicts{queue: newRoundQueue()}, noListener{})
		for range 2 {
			k.Reconcile(t.Context(), "test")
		}
		began, eth0 := time.Now(), uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
		for next := time.Duration(0); time.Since(began) < resyncInterval; {
			if next = k.Reconcile(t.Context(), "test", eth0); lastWasFull(kernel.observations) || next > resyncInterval-time.Since(began) {
				t.Fatalf("%s after the last look at the whole: looked at %v, the next is in %s", time.Since(began), kernel.observations, next)
			}
			time.Sleep(min(7*time.Second, next))
		}
		if k.Reconcile(t.Context(), "test", eth0); !lastWasFull(kernel.observations) {
			t.Errorf("%s after the last look at the whole: looked at %v", time.Since(began), kernel.observations)
		}
	})
}

// Where a look failed, nobody says again that something has changed there.
func TestFailedObservationIsFollowedByAFullOne(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := NewReconciler(kernel, discardLog, uplinkstest.Settings(), &verdicts{queue: newRoundQueue()}, noListener{})
	for range 2 {
		k.Reconcile(t.Context(), "test")
	}
	kernel.nextErr = errors.New("no buffer space available")
	k.Reconcile(t.Context(), "test", uplinks.ChangedScope{Link: facts.Links["eth0"].Index})
	if lastWasFull(kernel.observations) {
		t.Fatalf("looked at %v", kernel.observations)
	}
	k.Reconcile(t.Context(), "test", uplinks.ChangedScope{Link: facts.Links["eth1"].Index})
	if !lastWasFull(kernel.observations) {
		t.Errorf("after a look that failed: looked at %v", kernel.observations)
	}
}
