package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"

	"replypath/uplinks"
)

// chainLoader is a kernel that runs a function beside each change of the firewall. *host.Host implements it.
type chainLoader interface {
	WhileLoading(run func(done <-chan struct{}))
}

// FailOver writes the routes and rules that follow from new verdicts alone, without reading the kernel, and moves the connections
// that took others: a round that reads everything takes tens of milliseconds with many uplinks. It starts from the state that the
// last round has put in force. Whatever else has changed is left to the round that follows, also when a write fails. So are
// connections while the firewall is not in force: they would begin anew without what it does. Verdicts that come meanwhile, as those
// of the other family or of other uplinks on the same switch, are written first: the kernel walks all connections for a move, and
// moves those of all of them at once.
func (r *Reconciler) FailOver(ctx context.Context) {
	var all []failover
	for len(all) < maxInterruptions {
		f, followed := r.followNewest(ctx)
		if !followed {
			break
		}
		all = append(all, f)
	}
	if len(all) > 0 && r.inForce && r.complete {
		r.mover.round(r.lastSettings, r.lastFacts, r.lastVerdicts)
	}
	for _, f := range all {
		r.recordFailover(f)
	}
}

// failover is what was written because of new verdicts.
type failover struct {
	steps uplinks.Plan
	why   string
	err   error // why the rest was not
}

// followNewest writes the routes and rules that follow from the newest verdicts, if there are some.
func (r *Reconciler) followNewest(ctx context.Context) (f failover, followed bool) {
	verdicts := r.verdicts.Snapshot()
	if !r.failsOver() || maps.Equal(verdicts, r.lastVerdicts) {
		return f, false
	}
	plan := uplinks.FailoverPlan(r.lastSettings, r.lastFacts, r.lastVerdicts, verdicts)
	if len(plan) == 0 {
		return f, false
	}
	f.why = reasonText(healthReason(r.lastVerdicts, verdicts))
	f.steps, f.err = uplinks.Execute(ctx, r.kernel, plan)
	r.failovers++
	if r.inForce = f.err == nil; r.inForce {
		r.lastVerdicts = verdicts
	}
	return f, true
}

// recordFailover reports what was written.
func (r *Reconciler) recordFailover(f failover) {
	r.recordFollowed(f.steps, f.why)
	if f.err != nil {
		r.log.Debug("the routes of a failover are left to the next round", "err", f.err)
	}
}

// failsOver reports whether FailOver follows new verdicts. A flow table is away while rules and routes change, which is left to rounds.
func (r *Reconciler) failsOver() bool {
	return r.inForce && r.mover != nil && r.lastSettings.Outbound.Enabled() && r.lastSettings.Accelerate == nil
}

// healthReason returns why verdicts are new, by the first path that has another one.
func healthReason(before, now uplinks.Verdicts) string {
	var all []string
	for path, verdict := range now {
		switch before[path] {
		case verdict:
		case uplinks.VerdictDegraded:
			all = append(all, degradationReason(path.Uplink))
		default:
			all = append(all, stateReason(path.Uplink))
		}
	}
	if len(all) == 0 {
		return "health"
	}
	return slices.Min(all)
}

// execute executes the steps of a round. While it changes the firewall, which takes as long as another program has that locked, it
// follows new verdicts. The connections of removed uplinks are moved when nothing begins by these any more, and before the rules that lead
// there go.
func (r *Reconciler) execute(ctx context.Context, p uplinks.Plan, removed []uplinks.Move) (uplinks.Plan, error) {
	if l, is := r.kernel.(chainLoader); is {
		l.WhileLoading(func(done <-chan struct{}) { r.followVerdicts(ctx, done) })
		defer l.WhileLoading(nil)
	}
	if r.mover != nil && p.MovesMarks() {
		r.mover.hold()
		r.inForce = false // what FailOver follows has ids that are changing
	}
	var removals uplinks.Plan
	if len(removed) > 0 {
		p, removals = p.SplitRemovals()
	}
	done, err := uplinks.Execute(ctx, r.kernel, p)
	if len(removed) > 0 {
		if err == nil {
			r.mover.moveRemoved(removed)
		} else { // only what adds: a flow table that was taken away meanwhile
			removals = slices.DeleteFunc(slices.Clone(removals), uplinks.Step.Removes)
		}
		more, failed := uplinks.Execute(ctx, r.kernel, removals)
		done, err = append(done, more...), errors.Join(err, failed)
	}
	return done.WithoutPause(), err
}

// removedMoves returns the moves of the connections of uplinks that the settings have no longer, given those of the last round, if a round
// of the whole host has steps.
func (r *Reconciler) removedMoves(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope, p uplinks.Plan) []uplinks.Move {
	if r.mover == nil || only != nil || len(p) == 0 {
		return nil
	}
	return r.mover.tracker.RemovedMoves(s, f)
}

// followVerdicts follows new verdicts until done is closed. It has a goroutine of its own, while that of the loop changes the firewall.
func (r *Reconciler) followVerdicts(ctx context.Context, done <-chan struct{}) {
	complete := r.complete
	r.complete = false
	defer func() { r.complete = complete }()
	for {
		changed := r.verdicts.Changed()
		r.FailOver(ctx)
		select {
		case <-done:
			return
		case <-changed:
		}
	}
}

// setInForce records what a round with the verdicts has put in force, given the steps that it has written, and those that it has not.
// It reports whether connections can follow: not when FailOver has written newer verdicts meanwhile, which another round follows.
func (r *Reconciler) setInForce(v uplinks.Verdicts, written, left uplinks.Plan, failedOver bool) (isNewest bool) {
	if failedOver {
		r.inForce = r.inForce && !slices.ContainsFunc(written, routes)
		return false
	}
	r.lastVerdicts, r.inForce = v, !slices.ContainsFunc(left, routes)
	return true
}

// routes reports whether the step writes a route or a rule.
func routes(s uplinks.Step) bool {
	return s.Kind() == uplinks.KindRoute || s.Kind() == uplinks.KindRule
}
