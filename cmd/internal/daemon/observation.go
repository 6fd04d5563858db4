package daemon

import (
	"context"
	"time"

	"replypath/uplinks"
)

// maxInterruptions bounds how often new verdicts and routers interrupt the reading of one round.
const maxInterruptions = 16

// observe reads the scopes, and starts anew when verdicts change that FailOver follows, or routers that FollowRouters does: one part of
// the reading is the longest that they wait.
func (r *Reconciler) observe(ctx context.Context, s uplinks.Settings, scopes []uplinks.ChangedScope) (uplinks.Facts, uplinks.State, error) {
	for range maxInterruptions {
		verdicts, routers := r.followNews(ctx)
		if verdicts == nil && routers == nil {
			break
		}
		reading, cancel := interruptedBy(ctx, verdicts, routers)
		facts, actual, err := r.read(reading, s, scopes)
		interrupted := err != nil && reading.Err() != nil && ctx.Err() == nil
		if cancel(); !interrupted {
			return facts, actual, err
		}
	}
	return r.read(ctx, s, scopes)
}

// followNews follows what is known without reading the kernel, and returns the channels that later news close; nil: none is followed.
func (r *Reconciler) followNews(ctx context.Context) (verdicts, routers <-chan struct{}) {
	verdicts = r.verdicts.Changed()
	if r.FailOver(ctx); !r.failsOver() {
		verdicts = nil
	}
	if k, learns := r.kernel.(routerSource); learns {
		routers = k.RoutersChanged()
	}
	if r.FollowRouters(ctx); !r.followsRouters(time.Now()) {
		routers = nil
	}
	return verdicts, routers
}

// read reads the scopes alone if the rest of the host was in sync lately, and what it reads does not show that more has
// changed.
func (r *Reconciler) read(ctx context.Context, s uplinks.Settings, scopes []uplinks.ChangedScope) (uplinks.Facts, uplinks.State, error) {
	only, known := s.ResolveScopes(r.lastFacts, scopes)
	for scope := range r.repaired {
		only = uplinks.AddScope(only, scope)
	}
	if len(scopes) > 0 && known && r.restInSync && len(only) <= maxPartialScopes && time.Since(r.lastResync) < r.resync {
		facts, actual, err := r.kernel.Observe(ctx, only...)
		if err != nil || !r.needsFullResync(s, facts) {
			return facts, actual, err
		}
	}
	r.lastResync = time.Now()
	return r.kernel.Observe(ctx)
}

// needsFullResync reports whether a partial observation shows a change that reaches beyond its scopes, such as that of the
// paths that are left out or of what routers that share a link need, or a refused path is due.
func (r *Reconciler) needsFullResync(s uplinks.Settings, part uplinks.Facts) bool {
	if r.lastFacts.NeedsFullResync(part) {
		return true
	}
	whole := r.lastFacts.Merge(part)
	if !r.settings.ResolveLinks(whole).SameLinks(s) {
		return true
	}
	return r.lastFacts.LeavesOutOthers(s, whole, part.Scopes) || r.refused.due(s, whole, time.Now()) || s.OutboundChanges(r.lastFacts, whole, part.Scopes) ||
		r.settings.UnscopedChange(r.lastFacts, whole)
}

// interruptedBy returns a context that ends when one of the channels is closed, too.
func interruptedBy(ctx context.Context, verdicts, routers <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-verdicts:
			cancel()
		case <-routers:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
