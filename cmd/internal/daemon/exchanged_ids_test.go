package daemon

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// exchangedIDs returns the settings with the ids of each other for the uplinks.
func exchangedIDs(s uplinks.Settings) uplinks.Settings {
	s.Uplinks = slices.Clone(s.Uplinks)
	slices.Reverse(s.Uplinks)
	s.Uplinks[0].ID, s.Uplinks[1].ID = 1, 2
	return s
}

// A reload exchanges ids while the kernel refuses a route in whichever table. It ends in one call, in which the path whose route it is is
// left out; without such a path in the settings it is that of the ids in between, and nothing is left out.
func TestExchangeWithARefusedRoute(t *testing.T) {
	const anyTable = 0 // of the second link: its gateway is wrong
	for _, table := range []uplinks.Table{8201, 8202, 8203, 8204, anyTable} {
		for _, before := range []bool{true, false} {
			s, rounds := uplinkstest.Settings(), 0
			k := &observedKernel{Fake: uplinkstest.NewFake(uplinkstest.Facts())}
			r := newTestReconciler(k, s)
			refuses := before
			k.Fail = func(step uplinks.Step) error {
				if set, is := step.(uplinks.SetRoute); is && refuses && set.Key.Family == uplinks.IPv4 && set.Route.Gateway.IsValid() &&
					(set.Key.Table == table || table == anyTable && set.Route.Link == "eth1") {
					if rounds++; rounds > 20 {
						panic("it does not end")
					}
					return fmt.Errorf("%s: %w: invalid argument", step, uplinks.ErrRefused)
				}
				return nil
			}
			reconcileTwice(t, r)
			refuses = true
			to := exchangedIDs(s)
			r.SetSettings(to, "test")
			r.Reconcile(t.Context(), "test")
			r.Reconcile(t.Context(), "test")
			if report := r.Report(); report.Err != nil || !report.InSync || r.between {
				t.Errorf("table %d is refused: %+v", table, report)
			}
			if left := r.lastFacts.LeftOut(to); len(left) > 0 != (table < 8203) {
				t.Errorf("table %d is refused: %v", table, left)
			}
		}
	}
}

// A write that fails in each round keeps the reconciler from no desired rule: the ids in between are given up.
func TestExchangeDespiteAWriteThatFails(t *testing.T) {
	s, failed := uplinkstest.Settings(), errors.New("read-only")
	k := uplinkstest.NewFake(uplinkstest.Facts())
	k.Fail = func(step uplinks.Step) error {
		if step.Kind() == uplinks.KindSysctl {
			return failed
		}
		return nil
	}
	r := newTestReconciler(k, s)
	r.Reconcile(t.Context(), "test")
	to := exchangedIDs(s)
	for range 2 {
		r.SetSettings(to, "test")
		r.Reconcile(t.Context(), "test")
		_, have, _ := k.Observe(t.Context())
		for rule := range uplinks.Desired(to, r.lastFacts, nil).Rules {
			if !have.Rules[rule] {
				t.Errorf("there is no rule %s", rule)
			}
		}
		if report := r.Report(); !errors.Is(report.Err, failed) || report.InSync {
			t.Errorf("report %+v", report)
		}
	}
	k.Fail = nil
	for range 2 {
		r.Reconcile(t.Context(), "test")
	}
	if report := r.Report(); report.Err != nil || !report.InSync {
		t.Errorf("report %+v", report)
	}
	if plan, _, err := uplinks.Preview(t.Context(), k, to, nil); err != nil || len(plan) > 0 {
		t.Errorf("missing steps, %v:\n%s", err, plan)
	}
}

// renamingKernel finds links renamed when it is asked to prepare the second plan.
type renamingKernel struct {
	*observedKernel
	plans int
}

func (k *renamingKernel) Prepare(uplinks.Plan) error {
	if k.plans++; k.plans == 2 {
		return uplinks.ErrRenamed
	}
	return nil
}

// followedSteps keeps the steps that a round reports.
type followedSteps struct {
	noListener
	steps uplinks.Plan
}

func (f *followedSteps) Followed(steps uplinks.Plan, _ string, _ []uplinks.ChangedScope) {
	f.steps = append(f.steps, steps...)
}

// Links that are renamed before the rules of a removed uplink go keep none of the steps before from being reported.
func TestStepsBeforeARenameAreReported(t *testing.T) {
	k, kernel := newOutboundReconciler(t, outboundTestSettings())
	k.mover.kernel = &recordedMoves{}
	reported := &followedSteps{}
	k.kernel, k.listener = &renamingKernel{observedKernel: kernel}, reported
	s := outboundTestSettings()
	s.Uplinks = s.Uplinks[1:]
	s.Outbound = uplinks.Outbound{Default: s.Uplinks[0].Name, Masquerade: s.Outbound.Masquerade}
	before := kernel.Writes
	k.SetSettings(s, "test")
	k.Reconcile(t.Context(), "test")
	if n := kernel.Writes - before; n == 0 || n != len(reported.steps) || k.kernel.(*renamingKernel).plans < 3 {
		t.Errorf("%d steps are written in %d plans, %d are reported", n, k.kernel.(*renamingKernel).plans, len(reported.steps))
	}
}

// A reload that exchanges ids is carried out by one call, which gives connections their marks twice. No sweep is carried out meanwhile.
func TestNoSweepWhileMarksChange(t *testing.T) {
	k, kernel := newOutboundReconciler(t, outboundTestSettings())
	s := exchangedIDs(outboundTestSettings())
	moves, held := 0, false
	kernel.Fail = func(step uplinks.Step) error {
		if (uplinks.Plan{step}).MovesMarks() {
			moves++
			held = true
		}
		if held && k.mover.changing.TryRLock() {
			k.mover.changing.RUnlock()
			t.Errorf("a sweep would be carried out before %q", step)
		}
		if held && k.failsOver() {
			t.Errorf("a failover would be written before %q", step)
		}
		return nil
	}
	k.SetSettings(s, "test")
	k.Reconcile(t.Context(), "test")
	if moves != 8 {
		t.Errorf("connections get other marks %d times, want twice by each uplink and family", moves)
	}
	if plan, _, err := uplinks.Preview(t.Context(), kernel, s, nil); err != nil || len(plan) > 0 {
		t.Errorf("afterwards these steps are left: %v\n%s", err, plan)
	}
	if !k.mover.changing.TryRLock() {
		t.Error("no sweep is carried out afterwards")
	}
}
