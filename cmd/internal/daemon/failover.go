package daemon

import (
	"context"
	"maps"
	"slices"

	"replypath/uplinks"
)

// FailOver writes the routes and rules that follow from new verdicts alone, without reading the kernel, and moves the connections
// that took others: a round that reads everything takes tens of milliseconds with many uplinks. It starts from the state that the
// last round has put in force. Whatever else has changed is left to the round that follows, also when a write fails.
func (r *Reconciler) FailOver(ctx context.Context, reason string) {
	verdicts := r.verdicts.Snapshot()
	s := r.lastSettings
	if !r.inForce || r.mover == nil || !s.Outbound.Enabled() || maps.Equal(verdicts, r.lastVerdicts) {
		return
	}
	plan := uplinks.Diff(uplinks.Desired(s, r.lastFacts, verdicts), uplinks.Desired(s, r.lastFacts, r.lastVerdicts))
	if len(plan) == 0 || slices.ContainsFunc(plan, func(step uplinks.Step) bool { return !routes(step) }) {
		return
	}
	done, err := uplinks.Execute(ctx, r.kernel, plan)
	r.addSteps(done, nil)
	if len(done) > 0 {
		why := reasonText(reason)
		r.logSteps(done, why)
		r.listener.Followed(done, why, []uplinks.ChangedScope{{}})
	}
	r.inForce = err == nil
	if err != nil {
		r.log.Debug("the routes of a failover are left to the next round", "err", err)
		return
	}
	r.lastVerdicts = verdicts
	r.mover.round(s, r.lastFacts, verdicts)
}

// routes reports whether the step writes a route or a rule.
func routes(s uplinks.Step) bool {
	return s.Kind() == uplinks.KindRoute || s.Kind() == uplinks.KindRule
}
