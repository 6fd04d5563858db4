package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// stepRecorder records why steps were executed.
type stepRecorder struct {
	noListener
	follow, repair []string
}

func (r *stepRecorder) Followed(_ uplinks.Plan, why string, _ []uplinks.ChangedScope) {
	r.follow = append(r.follow, why)
}

func (r *stepRecorder) Repaired(_ uplinks.Plan, why string, _ []uplinks.ChangedScope) {
	r.repair = append(r.repair, why)
}

// newRepairTest returns a reconciler on a fake kernel, its recorder and its log.
func newRepairTest() (*Reconciler, *uplinkstest.Fake, *stepRecorder, *bytes.Buffer) {
	kernel, recorder, logged := uplinkstest.NewFake(uplinkstest.Facts()), &stepRecorder{}, &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(logged, nil))
	return NewReconciler(kernel, log, uplinkstest.Settings(), &verdicts{queue: newRoundQueue()}, recorder), kernel, recorder, logged
}

func (r *stepRecorder) want(t *testing.T, when string, follow, repair []string) {
	t.Helper()
	if !slices.Equal(r.follow, follow) || !slices.Equal(r.repair, repair) {
		t.Errorf("%s: followed %q, repaired %q; want %q and %q", when, r.follow, r.repair, follow, repair)
	}
	r.follow, r.repair = nil, nil
}

func TestOnlyChangesByOtherProgramsCountAsRepairs(t *testing.T) {
	k, kernel, recorder, _ := newRepairTest()
	k.Reconcile(t.Context(), "watching")
	recorder.want(t, "at start", []string{"at start"}, nil)
	deleteRule := func() {
		for rule := range k.desiredRules() {
			if err := kernel.Apply(t.Context(), uplinks.DelRule{Rule: rule}); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	deleteRule()
	k.Reconcile(t.Context(), "rule")
	recorder.want(t, "after a foreign deletion", nil, []string{"because of rule"})
	one := uplinkstest.Settings()
	one.Uplinks = one.Uplinks[:1]
	k.SetSettings(one, causeReload)
	k.Reconcile(t.Context(), "request")
	recorder.want(t, "at a reload", []string{causeReload}, nil)
	k.SetSettings(uplinkstest.Settings(), causeRollback)
	k.Reconcile(t.Context(), "timer")
	recorder.want(t, "at a rollback", []string{causeRollback}, nil)
	deleteRule()
	k.Reconcile(t.Context(), "timer")
	recorder.want(t, "after another deletion", nil, []string{"found by the regular check"})
	if got := k.Report().Repairs; !maps.Equal(got, map[string]int{"rule": 2}) {
		t.Errorf("counted %v, want two rules", got)
	}
	facts := uplinkstest.Facts()
	l := facts.Links["eth0"]
	l.Addrs = nil
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	k.Reconcile(t.Context(), "address")
	recorder.want(t, "after a change of addresses", []string{"because of address"}, nil)
}

// desiredRules returns the rules of the last round.
func (r *Reconciler) desiredRules() map[uplinks.Rule]bool {
	return uplinks.Desired(r.settings, r.lastFacts, nil).Rules
}

func TestRetriedStartIsNoRepair(t *testing.T) {
	k, kernel, recorder, _ := newRepairTest()
	kernel.Fail = func(s uplinks.Step) error {
		if s.Kind() == uplinks.KindChains {
			return errors.New("the firewall is locked")
		}
		return nil
	}
	k.Reconcile(t.Context(), "watching")
	k.Reconcile(t.Context(), "timer")
	kernel.Fail = nil
	k.Reconcile(t.Context(), "timer")
	if len(recorder.repair) > 0 || len(k.Report().Repairs) > 0 || !slices.Contains(recorder.follow, "at start") {
		t.Errorf("a start whose steps fail at first: followed %q, repaired %q, counted %v", recorder.follow, recorder.repair, k.Report().Repairs)
	}
}

func TestLoadedChainsAreOneLineInTheLog(t *testing.T) {
	k, _, _, logged := newRepairTest()
	k.Reconcile(t.Context(), "watching")
	chains := 0
	for line := range strings.Lines(logged.String()) {
		if strings.Contains(line, "msg=changed") && strings.Contains(line, "tables") {
			chains++
			if !strings.Contains(line, "more commands for chains") || len(line) > 300 || strings.Contains(line, `\n`) {
				t.Errorf("chains are logged as %s", line)
			}
		}
	}
	if chains == 0 {
		t.Errorf("the log has no chains:\n%s", logged)
	}
}
