package daemon

import (
	"context"
	"maps"
	"slices"
	"time"

	"replypath/cmd/internal/host"
	"replypath/uplinks"
)

const (
	routerChangeBurst = 8 // changes of routers that are followed at once
	routerChangeRate  = 2 // changes a second after that
)

// routerSource is a kernel that learns of routers between two readings. *host.Host implements it.
type routerSource interface {
	// LatestRouters returns the facts with the routers that are known now, and the family that has changed last.
	LatestRouters(ctx context.Context, f uplinks.Facts) (latest uplinks.Facts, urgent uplinks.Family)
	// RoutersChanged returns a channel that the next change of them closes.
	RoutersChanged() <-chan struct{}
}

// FollowRouters writes what follows from other routers alone, without reading the kernel: until then the replies to what they forward
// leave by another one. It starts from what the last round has put in force. Whatever else has changed is left to the round that
// follows, also when a write fails, and when routers keep changing.
func (r *Reconciler) FollowRouters(ctx context.Context) {
	now := time.Now()
	if !r.followsRouters(now) {
		return
	}
	facts, urgent := r.kernel.(routerSource).LatestRouters(ctx, r.lastFacts)
	if slices.Equal(facts.FoundRouters, r.lastFacts.FoundRouters) && maps.EqualFunc(facts.RouterMACs, r.lastFacts.RouterMACs, slices.Equal) {
		return
	}
	plan := uplinks.RouterPlan(r.lastSettings, r.lastFacts, facts)
	if len(plan) == 0 || !r.routerChanges.take(now) {
		return
	}
	done, err := r.execute(ctx, plan.WithFirst(urgent), nil)
	r.recordFollowed(done, reasonText(host.RouterSubject))
	if err != nil {
		r.inForce = r.inForce && !slices.ContainsFunc(withoutSteps(plan, done), routes)
		r.complete = false
		r.log.Debug("the routers are left to the next round", "err", err)
		return
	}
	r.lastFacts = facts
	r.prepareTable(uplinks.Desired(r.lastSettings, facts, r.lastVerdicts))
	r.listener.Observed(r.lastSettings, facts, nil)
}

// followsRouters reports whether FollowRouters follows a change. A flow table is away while chains change, which is left to rounds.
func (r *Reconciler) followsRouters(now time.Time) bool {
	_, learns := r.kernel.(routerSource)
	return learns && r.inForce && r.complete && r.lastSettings.HasSharedLinks() && r.lastSettings.Accelerate == nil && r.routerChanges.has(now)
}
