package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// observedKernel records the scopes of its observations; nil is the whole host.
type observedKernel struct {
	*uplinkstest.Fake
	observations [][]uplinks.Scope
	nextErr      error // of the next observation
}

func (k *observedKernel) Observe(ctx context.Context, only ...uplinks.Scope) (uplinks.Facts, uplinks.State, error) {
	k.observations = append(k.observations, only)
	if err := k.nextErr; err != nil {
		k.nextErr = nil
		return uplinks.Facts{}, uplinks.State{}, err
	}
	return k.Fake.Observe(ctx, only...)
}

// lastWasFull reports whether the last observation was of the whole host.
func lastWasFull(observations [][]uplinks.Scope) bool {
	return len(observations) > 0 && observations[len(observations)-1] == nil
}

func TestOnlyTheScopeOfAChangeIsObserved(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := newTestReconciler(kernel, uplinkstest.Settings())
	round := func(at ...uplinks.ChangedScope) [][]uplinks.Scope {
		kernel.observations = nil
		k.Reconcile(t.Context(), "test", at...)
		return kernel.observations
	}
	eth0 := uplinkstest.Settings().ScopesOf("eth0")
	scope := uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
	for range 2 {
		if !lastWasFull(round(scope)) {
			t.Error("the first round, or the one after a repair, did not observe the whole host")
		}
	}
	if got := round(scope); len(got) != 1 || !slices.Equal(got[0], eth0) {
		t.Errorf("a change of the link: observed %v", got)
	}
	table := uplinks.Scope{Table: eth0[0].Table}
	if got := round(uplinks.ChangedScope{Table: table.Table}); len(got) != 1 || !slices.Equal(got[0], []uplinks.Scope{table}) {
		t.Errorf("a change of its table: observed %v", got)
	}
	if got := round(uplinks.ChangedScope{Table: table.Table}, scope); len(got) != 1 || !slices.Equal(got[0], eth0) {
		t.Errorf("a change of its table and its link: observed %v", got)
	}
	if !lastWasFull(round()) || !lastWasFull(round(scope, uplinks.ChangedScope{Link: 4711})) {
		t.Error("an unknown scope, or none, did not cause a full observation")
	}
	l := facts.Links["eth0"]
	l.Up, l.Carrier = false, false
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if got := round(scope); len(got) != 1 || k.Report().InSync || k.lastFacts.Links["eth0"].Up {
		t.Errorf("a link that is down: observed %v, %+v", got, k.Report())
	}
	if got := round(uplinks.ChangedScope{Link: facts.Links["eth1"].Index}); len(got) != 1 || !slices.Contains(got[0], table) || !k.Report().InSync {
		t.Errorf("a repaired scope is not observed again: %v, %+v", got, k.Report())
	}
	l.Addrs = nil
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if got := round(scope); len(got) != 2 || !lastWasFull(got) {
		t.Errorf("rules depend on addresses, but a deleted address caused only the observations %v", got)
	}
}

// TestConflictIsDetectedByPartialObservations lets a link flap, which is no conflict, and then deletes its routes after each
// repair.
func TestConflictIsDetectedByPartialObservations(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := newTestReconciler(kernel, uplinkstest.Settings())
	eth0 := uplinkstest.Settings().ScopesOf("eth0")[0]
	scope := uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
	round := func(at uplinks.ChangedScope) Report {
		k.Reconcile(t.Context(), "test", at)
		return k.Report()
	}
	for range 3 {
		round(scope)
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
			round(scope)
			if r := round(scope); r.Waiting != 0 || !r.InSync {
				t.Fatalf("a flapping link: %+v", r)
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
			t.Fatalf("after %d deletions of the routes: %+v", n+1, r)
		}
	}
	if slices.ContainsFunc(kernel.observations, func(only []uplinks.Scope) bool { return only == nil }) {
		t.Errorf("the whole host was observed: %v", kernel.observations)
	}
}

func TestEventsDoNotDelayTheFullResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		facts := uplinkstest.Facts()
		kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
		k := newTestReconciler(kernel, uplinkstest.Settings())
		for range 2 {
			k.Reconcile(t.Context(), "test")
		}
		began, eth0 := time.Now(), uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
		for next := time.Duration(0); time.Since(began) < resyncInterval; {
			if next = k.Reconcile(t.Context(), "test", eth0); lastWasFull(kernel.observations) || next > resyncInterval-time.Since(began) {
				t.Fatalf("%s after the last full observation: observed %v, the next round is in %s", time.Since(began), kernel.observations, next)
			}
			time.Sleep(min(7*time.Second, next))
		}
		if k.Reconcile(t.Context(), "test", eth0); !lastWasFull(kernel.observations) {
			t.Errorf("%s after the last full observation: observed %v", time.Since(began), kernel.observations)
		}
	})
}

// TestFailedObservationIsFollowedByAFullOne loses the scope of a change, as no later event has it.
func TestFailedObservationIsFollowedByAFullOne(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := newTestReconciler(kernel, uplinkstest.Settings())
	for range 2 {
		k.Reconcile(t.Context(), "test")
	}
	kernel.nextErr = errors.New("no buffer space available")
	k.Reconcile(t.Context(), "test", uplinks.ChangedScope{Link: facts.Links["eth0"].Index})
	if lastWasFull(kernel.observations) {
		t.Fatalf("observed %v", kernel.observations)
	}
	k.Reconcile(t.Context(), "test", uplinks.ChangedScope{Link: facts.Links["eth1"].Index})
	if !lastWasFull(kernel.observations) {
		t.Errorf("after a failed observation: observed %v", kernel.observations)
	}
}

// What routers that share a link need belongs to no scope: a change of one of them is followed by an observation of the whole host.
func TestAChangedRouterOfASharedLinkCausesAFullObservation(t *testing.T) {
	facts, settings := uplinkstest.Facts(), uplinkstest.Settings()
	other := settings.Uplinks[0]
	other.Name, other.ID, other.Gateway4, other.Gateway6 = "dsl", 3, uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.3")}, uplinks.Gateway{}
	settings.Uplinks = append(settings.Uplinks, other)
	kernel := &observedKernel{Fake: uplinkstest.NewFake(facts)}
	k := newTestReconciler(kernel, settings)
	scope := uplinks.ChangedScope{Link: facts.Links["eth0"].Index}
	for range 3 {
		k.Reconcile(t.Context(), "test", scope)
	}
	if lastWasFull(kernel.observations) {
		t.Fatalf("nothing has changed, but the whole host was observed: %v", kernel.observations)
	}
	l := facts.Links["eth0"]
	l.Defaults = slices.Clone(l.Defaults)
	for i, hop := range l.Defaults {
		if hop.Family == uplinks.IPv4 {
			l.Defaults[i].Gateway = netip.MustParseAddr("198.51.100.8")
		}
	}
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	k.Reconcile(t.Context(), "test", scope)
	if !lastWasFull(kernel.observations) {
		t.Errorf("another router: observed %v, %+v", kernel.observations, k.Report())
	}
	if plan, _, err := uplinks.Preview(t.Context(), kernel.Fake, settings, nil); err != nil || len(plan) > 0 {
		t.Errorf("steps that are missing: %v\n%s", err, plan)
	}
}
