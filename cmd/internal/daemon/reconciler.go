package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
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
	// Repaired gets the steps that a round executed, its reason, and the scopes that it read.
	Repaired(steps uplinks.Plan, reason string, scopes []uplinks.ChangedScope)
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
	settings uplinks.Settings

	// Of the last round:
	lastSettings uplinks.Settings
	lastVerdicts uplinks.Verdicts
	lastFacts    uplinks.Facts
	inspection   inspect.Inspection
	repaired     map[uplinks.Scope]bool // since the last resync, and not observed since
	restInSync   bool                   // everything outside of repaired
	lastResync   time.Time
}

// NewReconciler returns a reconciler for these settings.
func NewReconciler(k uplinks.Kernel, log *slog.Logger, s uplinks.Settings, v *verdicts, l Listener) *Reconciler {
	return &Reconciler{reports: &reports{log: log}, kernel: k, log: log, suspects: newSuspects(), verdicts: v, listener: l, resync: resyncInterval,
		backoff: NewRepairBackoff(), settings: s, repaired: map[uplinks.Scope]bool{}}
}

// SetSettings sets the settings for the next round.
func (k *Reconciler) SetSettings(s uplinks.Settings) {
	k.settings, k.restInSync = s, false
	k.verdicts.retain(s)
}

// Settings returns the settings.
func (k *Reconciler) Settings() uplinks.Settings { return k.settings }

// Reconcile observes the scopes, or the whole host when there are none or more may have changed, and executes the steps
// that are missing. It returns when to reconcile again at the latest. The next round sees its changes, as they cause events.
func (k *Reconciler) Reconcile(ctx context.Context, reason string, scopes ...uplinks.ChangedScope) time.Duration {
	settings, verdicts := k.settings, k.verdicts.Snapshot()
	suspects := k.suspects.Snapshot() // before a repair, which causes events too
	facts, actual, err := k.observe(ctx, settings, scopes)
	if err != nil {
		k.restInSync = false // no later event names the scopes again
		k.addFailure("read the kernel", err)
		return retryInterval
	}
	only, whole := facts.Scopes, facts
	if only != nil {
		whole = k.lastFacts.Merge(facts)
	}
	desired, now := uplinks.Desired(settings, whole.WithScopes(only), verdicts), time.Now()
	k.backoff.UpdateDesired(desired, func() uplinks.State {
		return uplinks.Desired(k.lastSettings, k.lastFacts.WithScopes(only), k.lastVerdicts)
	}, now)
	act, wait, next := k.backoff.Split(uplinks.Diff(desired, actual), now)
	done, err := uplinks.Execute(ctx, k.kernel, act)
	k.recordRepairs(done, reason, changedScopes(facts), suspects)
	if err != nil && ctx.Err() == nil {
		k.addFailure("change the kernel", err)
		next = retryInterval
	}
	k.lastVerdicts = verdicts
	k.recordObservation(settings, whole, only, act, err == nil && len(wait) == 0)
	k.listener.Observed(settings, whole, only)
	k.add(Report{
		InSync: len(act)+len(wait) == 0, Err: err, Changes: len(done), Repairs: countByKind(done), Drift: len(act) + len(wait), Waiting: len(wait),
		Uplinks: len(settings.Uplinks), Findings: k.inspection.Findings(),
	})
	if left := max(k.resync-time.Since(k.lastResync), time.Millisecond); next == 0 || left < next {
		next = left
	}
	return next
}

// observe reads the scopes alone if the rest of the host was in sync lately, and what it reads does not show that more has
// changed.
func (k *Reconciler) observe(ctx context.Context, s uplinks.Settings, scopes []uplinks.ChangedScope) (uplinks.Facts, uplinks.State, error) {
	only, known := s.ResolveScopes(k.lastFacts, scopes)
	for scope := range k.repaired {
		only = uplinks.AddScope(only, scope)
	}
	if len(scopes) > 0 && known && k.restInSync && len(only) <= maxPartialScopes && time.Since(k.lastResync) < k.resync {
		facts, actual, err := k.kernel.Observe(ctx, only...)
		if err != nil || !k.lastFacts.NeedsFullResync(facts) {
			return facts, actual, err
		}
	}
	k.lastResync = time.Now()
	return k.kernel.Observe(ctx)
}

// recordObservation keeps the facts of a round, and which scopes the next one must observe because of its steps.
func (k *Reconciler) recordObservation(s uplinks.Settings, whole uplinks.Facts, only []uplinks.Scope, steps uplinks.Plan, succeeded bool) {
	k.lastSettings, k.lastFacts = s, whole
	clear(k.repaired)
	if only == nil {
		k.restInSync = succeeded && len(steps) == 0
		k.inspection = inspect.Inspect(s, whole)
		return
	}
	k.inspection = k.inspection.Update(s, whole, only)
	k.restInSync = k.restInSync && succeeded
	if len(steps) == 0 {
		return
	}
	routesOnly := !slices.ContainsFunc(steps, func(s uplinks.Step) bool { return s.Scope().Table == 0 })
	for _, scope := range only {
		if routesOnly {
			scope.Link = ""
		}
		if scope != (uplinks.Scope{}) {
			k.repaired[scope] = true
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

// recordRepairs logs the steps that were executed, and those that the back-off delays from now on.
func (k *Reconciler) recordRepairs(done uplinks.Plan, reason string, scopes []uplinks.ChangedScope, suspects map[string]string) {
	if len(done) == 0 {
		return
	}
	for _, s := range done {
		k.log.Info("changed", "step", s.String(), "why", reason)
	}
	k.listener.Repaired(done, reason, scopes)
	for _, s := range k.backoff.RecordRepairs(done, time.Now()) {
		k.log.Warn("another program undoes this repair again and again: it is repeated less often", "repair", s.String(),
			"suspect", cmp.Or(suspects[eventSubject(s)], "unknown"), "remedy", "stop or reconfigure that program")
	}
}
