package daemon

import (
	"errors"
	"log/slog"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/health/hook"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// unmovedConnections is a kernel whose moves are counted where they are queued.
type unmovedConnections struct{}

func (unmovedConnections) MoveConnections(...uplinks.Move) ([]host.Moved, error) {
	return nil, errors.New("nothing moves")
}

// newOutboundReconciler returns a reconciler that has put the settings in force, and its kernel.
func newOutboundReconciler(t *testing.T, s uplinks.Settings) (*Reconciler, *observedKernel) {
	t.Helper()
	kernel := &observedKernel{Fake: uplinkstest.NewFake(uplinkstest.Facts())}
	k := newTestReconciler(kernel, s)
	log := slog.New(slog.DiscardHandler)
	states := newOutboundStates(&eventRecorder{events: &health.EventLog{}, hooks: hook.New(log), verdicts: k.verdicts, log: log}, log)
	k.mover = newOutboundMover(unmovedConnections{}, states, log)
	for range 3 {
		k.Reconcile(t.Context(), "test")
	}
	if r := k.Report(); !r.InSync {
		t.Fatalf("%+v", r)
	}
	kernel.observations = nil
	return k, kernel
}

// policyLink returns the link that the default route of the policy leads to, or "".
func policyLink(t *testing.T, k *observedKernel, s uplinks.Settings) string {
	t.Helper()
	_, have, err := k.Fake.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, route := range have.Routes {
		if key.Table == s.PolicyTable("all") && key.Family == uplinks.IPv4 && key.Metric != uplinks.LastMetric {
			return route.Link
		}
	}
	return ""
}

func TestVerdictsAreFollowedWithoutReadingTheKernel(t *testing.T) {
	s := outboundTestSettings()
	k, kernel := newOutboundReconciler(t, s)
	before := policyLink(t, kernel, s)
	k.verdicts.set(uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv4}, uplinks.VerdictDown)
	k.FailOver(t.Context(), "health of fibre")
	after := policyLink(t, kernel, s)
	if len(kernel.observations) > 0 || before == after || len(k.mover.waiting) != 1 {
		t.Errorf("%d observations, the route is by %s and was by %s, %d moves", len(kernel.observations), after, before, len(k.mover.waiting))
	}
	changes := k.Report().Changes
	k.FailOver(t.Context(), "health of fibre")
	k.Reconcile(t.Context(), "health of fibre")
	if r := k.Report(); !r.InSync || r.Changes != changes || len(k.mover.waiting) != 1 {
		t.Errorf("the round that follows: %+v, %d moves", r, len(k.mover.waiting))
	}
}

// The kernel walks all connections for a move.
func TestFamiliesOfAnUplinkAreMovedTogether(t *testing.T) {
	k, _ := newOutboundReconciler(t, outboundTestSettings())
	for _, family := range uplinks.Families {
		k.verdicts.set(uplinks.PathKey{Uplink: "fibre", Family: family}, uplinks.VerdictDown)
	}
	k.FailOver(t.Context(), "health of fibre")
	if len(k.mover.waiting) != 1 {
		t.Fatalf("%d moves wait", len(k.mover.waiting))
	}
	if moves := <-k.mover.waiting; len(moves) != 2 || moves[0].Family == moves[1].Family {
		t.Errorf("moves %+v", moves)
	}
}

func TestFailoverIsLeftToTheRound(t *testing.T) {
	for name, prepare := range map[string]func(k *Reconciler){
		"without [outbound]":               func(k *Reconciler) { k.lastSettings.Outbound = uplinks.Outbound{} },
		"before new settings are in force": func(k *Reconciler) { k.SetSettings(outboundTestSettings(), "test") },
		"after a failure":                  func(k *Reconciler) { k.inForce = false },
	} {
		t.Run(name, func(t *testing.T) {
			s := outboundTestSettings()
			k, kernel := newOutboundReconciler(t, s)
			before := policyLink(t, kernel, s)
			prepare(k)
			k.verdicts.set(uplinks.PathKey{Uplink: "fibre", Family: uplinks.IPv4}, uplinks.VerdictDown)
			k.FailOver(t.Context(), "health of fibre")
			if after := policyLink(t, kernel, s); after != before || len(k.mover.waiting) != 0 {
				t.Errorf("the route is by %s and was by %s, %d moves", after, before, len(k.mover.waiting))
			}
		})
	}
}
