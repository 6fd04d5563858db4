package daemon

import (
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// renamedKernel is a kernel in which links swap their names after the first observations.
type renamedKernel struct {
	*observedKernel
	renames int // observations that are outdated before the first step
}

// Prepare implements uplinks.Preparer.
func (k *renamedKernel) Prepare(uplinks.Plan) error {
	if k.renames == 0 {
		return nil
	}
	k.renames--
	if k.Writes > 0 {
		panic("there are steps that follow from an outdated observation")
	}
	return uplinks.ErrRenamed
}

// Links that swap their names between the observation and the first step make a round observe the whole host again, and write nothing else.
func TestRoundsObserveAgainWhenLinksSwapTheirNames(t *testing.T) {
	k := &renamedKernel{observedKernel: &observedKernel{Fake: uplinkstest.NewFake(uplinkstest.Facts())}, renames: 2}
	r := newTestReconciler(k, uplinkstest.Settings())
	r.Reconcile(t.Context(), "test")
	if report := r.Report(); report.Err != nil || report.Changes == 0 || len(k.observations) != 3 || !lastWasFull(k.observations) {
		t.Errorf("%d observations, report %+v", len(k.observations), report)
	}
	if done, err := uplinks.Sync(t.Context(), k, uplinkstest.Settings()); err != nil || len(done) > 0 {
		t.Errorf("%v, %v", done, err)
	}
}

// A command that writes once observes again, too.
func TestSyncObservesAgainWhenLinksSwapTheirNames(t *testing.T) {
	k := &renamedKernel{observedKernel: &observedKernel{Fake: uplinkstest.NewFake(uplinkstest.Facts())}, renames: 1}
	if done, err := uplinks.Sync(t.Context(), k, uplinkstest.Settings()); err != nil || len(done) == 0 {
		t.Errorf("%v, %v", done, err)
	}
}
