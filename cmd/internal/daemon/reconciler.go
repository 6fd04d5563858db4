package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/inspect"
)

// Reconciler makes the kernel as the settings ask, and keeps it so. Only the loop's goroutine calls RunRound.
type Reconciler struct {
	Kernel         uplinks.Kernel
	Log            *slog.Logger
	OnObserved     func(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope) // is told what a round saw, after its repairs; may be nil
	OnRepaired     func(uplinks.Plan, string, []uplinks.ChangedScope)              // is told what a round changed, why and where; may be nil
	ResyncInterval time.Duration                                                   // from one look at the whole host to the next, whatever places are named meanwhile
	backoff        *RepairBackoff

	lastSettings uplinks.Settings       // in the last round, and
	lastVerdicts uplinks.Verdicts       // in the last round, and
	lastFacts    uplinks.Facts          // as they were seen then, with
	inspection   inspect.Inspection     // what there is to say of them; only the loop's goroutine
	repaired     map[uplinks.Scope]bool // what was repaired since the last look at the whole, and not looked at since
	restInSync   bool                   // what is not open was in order
	lastResync   time.Time              // at the whole

	mu       sync.Mutex
	settings uplinks.Settings
	verdicts uplinks.Verdicts  // of the paths of settings; replaced, never changed
	suspects map[string]string // who changed what last, as far as the kernel told
	report   Report
}

// NewReconciler keeps to these settings.
func NewReconciler(k uplinks.Kernel, log *slog.Logger, s uplinks.Settings) *Reconciler {
	return &Reconciler{Kernel: k, Log: log, ResyncInterval: resyncInterval, backoff: NewRepairBackoff(), settings: s, suspects: map[string]string{}, repaired: map[uplinks.Scope]bool{}}
}

// SetSettings takes new settings for the next round. Only the loop's goroutine calls it.
func (k *Reconciler) SetSettings(s uplinks.Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.settings, k.restInSync = s, false
	k.dropVerdicts(s)
}

// Settings are those that are kept to.
func (k *Reconciler) Settings() uplinks.Settings {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.settings
}

// desiredInput returns the settings and the verdicts for a round.
func (k *Reconciler) desiredInput() (uplinks.Settings, uplinks.Verdicts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.settings, k.verdicts
}

// SetSuspect notes who changed what last.
func (k *Reconciler) SetSuspect(object, origin string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.suspects[object] = origin
}

// currentSuspects gives who changed what last. What is asked before a repair does not name ourselves.
func (k *Reconciler) currentSuspects() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.suspects)
}

// suspectKey is what a host.Change is about that a step repairs. Who sets a sysctl the kernel tells nobody.
func suspectKey(s uplinks.Step) string {
	switch kind := s.Kind(); kind {
	case uplinks.KindChains:
		return "firewall"
	case uplinks.KindSysctl:
		return ""
	default:
		return string(kind)
	}
}

// retryInterval is when a round that failed is tried again.
const retryInterval = time.Second

// Reconcile looks at the places where something has changed, or at the whole host when none is named, repairs and says when
// to look again, at the latest. What it did shows in the next round: its own changes nudge.
func (k *Reconciler) Reconcile(ctx context.Context, reason string, scopes ...uplinks.ChangedScope) time.Duration {
	settings, verdicts := k.desiredInput()
	suspects := k.currentSuspects()
	facts, actual, err := k.observe(ctx, settings, scopes)
	if err != nil {
		k.restInSync = false // nobody names the places again
		k.recordFailure("observe", err)
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
	done, err := uplinks.Execute(ctx, k.Kernel, act)
	k.logRepairs(done, reason, changedScopes(facts), suspects)
	if err != nil && ctx.Err() == nil {
		k.recordFailure("apply", err)
		next = retryInterval
	}
	k.lastVerdicts = verdicts
	k.recordObservation(settings, whole, only, act, err == nil && len(wait) == 0)
	if k.OnObserved != nil {
		k.OnObserved(settings, whole, only)
	}
	k.updateReport(Report{
		InSync: len(act)+len(wait) == 0, Err: err, Changes: len(done), Repairs: countByKind(done), Drift: len(act) + len(wait), Waiting: len(wait),
		Uplinks: len(settings.Uplinks), Findings: k.inspection.Findings(),
	})
	if left := max(k.ResyncInterval-time.Since(k.lastResync), time.Millisecond); next == 0 || left < next {
		next = left
	}
	return next
}

// maxPartialScopes are looked at alone. With more, the whole host costs little more.
const maxPartialScopes = 16

// observe looks at the shares in which the places are, as long as all else was in order lately and they do not say that
// more must have changed. Otherwise it looks at the whole host.
func (k *Reconciler) observe(ctx context.Context, s uplinks.Settings, scopes []uplinks.ChangedScope) (uplinks.Facts, uplinks.State, error) {
	only, known := s.ResolveScopes(k.lastFacts, scopes)
	for share := range k.repaired {
		only = uplinks.AddScope(only, share)
	}
	if len(scopes) > 0 && known && k.restInSync && len(only) <= maxPartialScopes && time.Since(k.lastResync) < k.ResyncInterval {
		facts, have, err := k.Kernel.Observe(ctx, only...)
		if err != nil || !k.lastFacts.NeedsFullResync(facts) {
			return facts, have, err
		}
	}
	k.lastResync = time.Now()
	return k.Kernel.Observe(ctx)
}

// recordObservation takes over the facts, what there is to say of them, and in what of the host there was something to do.
func (k *Reconciler) recordObservation(s uplinks.Settings, whole uplinks.Facts, only []uplinks.Scope, plan uplinks.Plan, succeeded bool) {
	k.lastSettings, k.lastFacts = s, whole
	clear(k.repaired)
	if only == nil {
		k.restInSync = succeeded && len(plan) == 0
		k.inspection = inspect.Inspect(s, whole)
		return
	}
	k.inspection = k.inspection.Update(s, whole, only)
	k.restInSync = k.restInSync && succeeded
	if len(plan) == 0 {
		return
	}
	links := slices.ContainsFunc(plan, func(s uplinks.Step) bool { return s.Scope().Table == 0 })
	for _, share := range only {
		if !links {
			share.Link = ""
		}
		if share != (uplinks.Scope{}) {
			k.repaired[share] = true
		}
	}
}

// changedScopes is what facts are of.
func changedScopes(f uplinks.Facts) (scopes []uplinks.ChangedScope) {
	for _, share := range f.Scopes {
		if share.Link == "" {
			scopes = append(scopes, uplinks.ChangedScope{Table: share.Table})
		} else {
			scopes = append(scopes, uplinks.ChangedScope{Link: f.Links[share.Link].Index})
		}
	}
	if scopes == nil {
		return []uplinks.ChangedScope{{}}
	}
	return scopes
}

// logRepairs logs what changed. A round in which all is right says nothing.
func (k *Reconciler) logRepairs(done uplinks.Plan, reason string, scopes []uplinks.ChangedScope, suspects map[string]string) {
	if len(done) == 0 {
		return
	}
	for _, s := range done {
		k.Log.Info("changed", "step", s.String(), "why", reason)
	}
	if k.OnRepaired != nil {
		k.OnRepaired(done, reason, scopes)
	}
	for _, s := range k.backoff.RecordRepairs(done, time.Now()) {
		k.Log.Warn("somebody undoes this again and again: repairing it less often", "repair", s.String(), "suspect", cmp.Or(suspects[suspectKey(s)], "unknown"))
	}
}
