package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// maxPartialScopes is the number of scopes that are observed alone. With more, the whole host costs little more.
const maxPartialScopes = 16

// Listener follows the rounds of a Reconciler. Its methods run on the goroutine of the loop.
type Listener interface {
	// Observed gets what a round observed, after its repairs; only names the scopes that it read, nil for the whole host.
	Observed(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope)
	// Followed gets the steps that a round executed because the desired state has changed, why, and the scopes that it read.
	Followed(steps uplinks.Plan, why string, scopes []uplinks.ChangedScope)
	// Repaired gets the steps that a round executed because another program had changed the kernel, in the same way; none when
	// it repeated repairs alone.
	Repaired(steps uplinks.Plan, why string, scopes []uplinks.ChangedScope)
}

// tunableWatcher is a kernel whose tunables are polled between rounds. *host.Host implements it.
type tunableWatcher interface {
	WatchTunables(wanted map[uplinks.Tunable]string)
}

// Reconciler makes the kernel match the settings. It is owned by the goroutine of the loop; reports, suspects and
// verdicts are shared.
type Reconciler struct {
	*reports
	kernel   uplinks.Kernel
	log      *slog.Logger
	suspects *suspects
	verdicts *verdicts
	listener Listener
	resync   time.Duration // from one observation of the whole host to the next
	backoff  *RepairBackoff
	refused  refusedPaths
	settings uplinks.Settings
	cause    string // of the settings, until a round has put them in force
	// unfinished has the objects whose desired state has changed and that no round could write since, by objectKey.
	unfinished map[any]bool
	mover      *outboundMover // nil: connections are not moved
	// moveAfterRound has the drained uplinks whose connections the next round moves.
	moveAfterRound []string

	// Of the last round:
	between      bool // its settings have ids that nobody has, see uplinks.DesiredNext: another round follows
	direct       bool // no other one like that follows
	lastSettings uplinks.Settings
	lastVerdicts uplinks.Verdicts
	lastFacts    uplinks.Facts
	inspection   inspect.Inspection
	repaired     map[uplinks.Scope]bool // since the last resync, and not observed since
	restInSync   bool                   // everything outside of repaired
	inForce      bool                   // rules and routes are as lastSettings, lastFacts and lastVerdicts require, as far as they were read
	complete     bool                   // so is everything else, but for repairs that are held back
	failovers    int                    // plans that FailOver has executed since the start
	lastResync   time.Time

	tableRestored time.Time   // by RestoreTable
	routerChanges tokenBucket // of FollowRouters
}

// NewReconciler returns a reconciler for these settings.
func NewReconciler(kernel uplinks.Kernel, log *slog.Logger, s uplinks.Settings, v *verdicts, l Listener) *Reconciler {
	v.SetSettings(s)
	return &Reconciler{reports: &reports{log: log}, kernel: kernel, log: log, suspects: newSuspects(), verdicts: v, listener: l, resync: resyncInterval,
		backoff: NewRepairBackoff(), refused: refusedPaths{}, settings: s, cause: causeStart, repaired: map[uplinks.Scope]bool{},
		routerChanges: tokenBucket{burst: routerChangeBurst, rate: routerChangeRate}}
}

// SetSettings sets the settings for the next round, with the cause of their change.
func (r *Reconciler) SetSettings(s uplinks.Settings, cause string) {
	r.settings, r.cause, r.restInSync, r.inForce = s, cause, false, false
	r.lastFacts.Kept = nil
	clear(r.refused)
	r.verdicts.SetSettings(s)
}

// Settings returns the settings.
func (r *Reconciler) Settings() uplinks.Settings { return r.settings }

// Reconcile observes the scopes, or the whole host when there are none or more may have changed, and executes the steps
// that are missing. It leaves out the paths whose routes the kernel refuses, and observes again if links swap their names
// meanwhile. It returns when to reconcile again at the latest. The next round sees its changes, as they cause events.
func (r *Reconciler) Reconcile(ctx context.Context, reason string, scopes ...uplinks.ChangedScope) time.Duration {
	next := r.reconcile(ctx, reason, nil, scopes)
	for rounds := 1; r.between && ctx.Err() == nil; rounds++ {
		r.direct = rounds == uplinks.MaxBetween
		next = r.reconcile(ctx, reason, nil, nil)
	}
	r.direct = false
	if r.mover != nil {
		r.mover.release()
	}
	return next
}

// reconcile does the work of Reconcile. previous is the state before the first step of the round, or nil.
func (r *Reconciler) reconcile(ctx context.Context, reason string, previous *uplinks.State, scopes []uplinks.ChangedScope) time.Duration {
	suspects := r.suspects.Snapshot() // before a repair, which causes events too
	facts, actual, err := r.observe(ctx, r.settings.ResolveLinks(r.lastFacts), scopes)
	if err != nil {
		r.restInSync, r.inForce, r.between = false, false, false // no later event names the scopes again
		r.addFailure("read the kernel", err)
		return retryInterval
	}
	only, whole := facts.Scopes, facts
	if only != nil {
		whole = r.lastFacts.Merge(facts)
	}
	settings := r.settings.ResolveLinks(whole)
	if only == nil {
		if previous == nil {
			previous = &actual
		}
		whole = r.leaveOut(ctx, settings, whole, *previous)
	}
	verdicts, lastVerdicts, failovers := r.verdicts.Snapshot(), r.lastVerdicts, r.failovers
	settings, desired, now := r.desired(settings, whole.WithScopes(only), verdicts, actual)
	before := sync.OnceValue(func() uplinks.State {
		return uplinks.Desired(r.lastSettings, r.lastFacts.WithScopes(only), lastVerdicts)
	})
	r.backoff.UpdateDesired(desired, before, now)
	plan := uplinks.Diff(desired, actual)
	act, wait, next := r.backoff.Split(plan.WithoutPause(), now)
	done, err := r.execute(ctx, plan.Paused(act), r.removedMoves(settings, whole, only, act))
	renamed := errors.Is(err, uplinks.ErrRenamed) && ctx.Err() == nil
	if renamed && len(done) == 0 {
		return r.reconcile(ctx, reason, nil, nil)
	}
	contested, repeated := r.backoff.RecordRepairs(done, time.Now())
	repairs := r.recordSteps(act, done, repeated, reason, func() map[any]bool { return desiredChanges(desired, before()) }, changedScopes(facts))
	r.logContested(contested, suspects)
	if refused := !r.between && r.refused.add(settings.RefusedRoutes(err), now); refused || renamed {
		if r.addSteps(done, repairs); renamed {
			previous = nil
		}
		return r.reconcile(ctx, reason, previous, nil)
	}
	if err != nil && ctx.Err() == nil {
		r.addFailure("change the kernel", err)
		next = retryInterval
	}
	r.complete = err == nil
	if r.setInForce(verdicts, done, slices.Concat(withoutSteps(act, done), wait), r.failovers != failovers) && r.complete && r.mover != nil && !r.between {
		r.moveConnections(settings, whole, verdicts)
	}
	r.recordObservation(settings, whole, only, act, err == nil && len(wait) == 0)
	if only == nil && r.inForce && r.complete {
		r.prepareTable(desired)
	}
	r.listener.Observed(settings, whole, only)
	r.add(Report{
		InSync: len(act)+len(wait) == 0, Err: err, Changes: len(done), Repairs: countByKind(repairs), Unannounced: countUnannounced(done), Drift: len(act) + len(wait), Waiting: len(wait),
		Uplinks: len(settings.Uplinks), Findings: r.inspection.Findings(),
	})
	return r.untilNext(next, now)
}

// desired returns the settings and the state that the round puts in force: those of the reconciler, or what comes before them. It returns
// the time, too. Tunables are polled from now on as a state of the whole host has them.
func (r *Reconciler) desired(s uplinks.Settings, f uplinks.Facts, v uplinks.Verdicts, actual uplinks.State) (_ uplinks.Settings, next uplinks.State, _ time.Time) {
	if r.between = false; f.Scopes != nil || r.direct {
		next = uplinks.Desired(s, f, v)
	} else {
		s, next, r.between = uplinks.DesiredNext(s, f, v, actual)
	}
	if w, polls := r.kernel.(tunableWatcher); polls && f.Scopes == nil {
		w.WatchTunables(next.Tunables)
	}
	return s, next, time.Now()
}

// untilNext returns when to reconcile again at the latest: for what waits, 0 if nothing does, for the whole host, or for refused
// paths.
func (r *Reconciler) untilNext(next time.Duration, now time.Time) time.Duration {
	for _, left := range []time.Duration{max(r.resync-time.Since(r.lastResync), time.Millisecond), r.refused.next(now)} {
		if left != 0 && (next == 0 || left < next) {
			next = left
		}
	}
	return next
}

// moveConnections moves the connections that the state in force sends by other uplinks.
func (r *Reconciler) moveConnections(s uplinks.Settings, f uplinks.Facts, v uplinks.Verdicts) {
	r.mover.round(s, f, v)
	for _, name := range r.moveAfterRound {
		r.mover.queue(s.Drain(name, f))
	}
	r.moveAfterRound = nil
}

// leaveOut returns the facts of the whole host with the paths that the kernel refuses, of which it tries those that are due
// again. Of the paths that are left out those stay as they were that are in force in the state, or were before.
func (r *Reconciler) leaveOut(ctx context.Context, s uplinks.Settings, f uplinks.Facts, previous uplinks.State) uplinks.Facts {
	r.refused.retry(ctx, r.kernel, s, f, time.Now())
	f = f.WithRefused(s, previous, r.refused.reasons())
	for _, o := range f.LeftOut(s) {
		if kept := r.lastFacts.Kept[o.Path]; kept != nil {
			f.Keep(o.Path, kept)
		}
	}
	return f
}

// recordObservation keeps the facts of a round, and which scopes the next one must observe because of its steps.
func (r *Reconciler) recordObservation(s uplinks.Settings, whole uplinks.Facts, only []uplinks.Scope, steps uplinks.Plan, succeeded bool) {
	r.lastSettings, r.lastFacts = s, whole
	clear(r.repaired)
	if only == nil {
		r.restInSync = succeeded && len(steps) == 0
		r.inspection = inspect.Inspect(s, whole)
		return
	}
	r.inspection = r.inspection.Update(s, whole, only)
	r.restInSync = r.restInSync && succeeded
	if len(steps) == 0 {
		return
	}
	routesOnly := !slices.ContainsFunc(steps, func(s uplinks.Step) bool { return s.Scope().Table == 0 })
	for _, scope := range only {
		if routesOnly {
			scope.Link = ""
		}
		if scope != (uplinks.Scope{}) {
			r.repaired[scope] = true
		}
	}
}

// changedScopes returns the scopes that the facts are of.
func changedScopes(f uplinks.Facts) (scopes []uplinks.ChangedScope) {
	for _, scope := range f.Scopes {
		if scope.Link == "" {
			scopes = append(scopes, uplinks.ChangedScope{Table: scope.Table})
		} else {
			scopes = append(scopes, uplinks.ChangedScope{Link: f.Links[scope.Link].Index})
		}
	}
	if scopes == nil {
		return []uplinks.ChangedScope{{}}
	}
	return scopes
}
