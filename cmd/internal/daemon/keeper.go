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
)

// Keeper makes the kernel as the settings ask, and keeps it so. Only the loop's goroutine calls Round.
type Keeper struct {
	Kernel   uplinks.Kernel
	Log      *slog.Logger
	Observed func(s uplinks.Settings, f uplinks.Facts, only []uplinks.Share) // is told what a round saw, after its repairs; may be nil
	Repaired func(uplinks.Plan, string, []uplinks.Place)                     // is told what a round changed, why and where; may be nil
	Refresh  time.Duration                                                   // from one look at the whole host to the next, whatever places are named meanwhile
	restrain *Restraint

	kept    uplinks.Settings       // in the last round, and
	facts   uplinks.Facts          // as they were seen then, with
	found   uplinks.Inspection     // what there is to say of them; only the loop's goroutine
	open    map[uplinks.Share]bool // what was repaired since the last look at the whole, and not looked at since
	orderly bool                   // what is not open was in order
	looked  time.Time              // at the whole

	mu       sync.Mutex
	settings uplinks.Settings
	suspects map[string]string // who changed what last, as far as the kernel told
	report   Report
}

// NewKeeper keeps to these settings.
func NewKeeper(k uplinks.Kernel, log *slog.Logger, s uplinks.Settings) *Keeper {
	return &Keeper{Kernel: k, Log: log, Refresh: refresh, restrain: NewRestraint(), settings: s, suspects: map[string]string{}, open: map[uplinks.Share]bool{}}
}

// Keep takes new settings for the next round. Only the loop's goroutine calls it.
func (k *Keeper) Keep(s uplinks.Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.settings, k.orderly = s, false
}

// Settings are those that are kept to.
func (k *Keeper) Settings() uplinks.Settings {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.settings
}

// Suspect notes who changed what last.
func (k *Keeper) Suspect(what, who string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.suspects[what] = who
}

// suspected gives who changed what last. What is asked before a repair does not name ourselves.
func (k *Keeper) suspected() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.suspects)
}

// subject is what a host.Change is about that a step repairs. Who sets a sysctl the kernel tells nobody.
func subject(s uplinks.Step) string {
	switch kind := uplinks.KindOf(s); kind {
	case uplinks.KindChains:
		return "firewall"
	case uplinks.KindSysctl:
		return ""
	default:
		return kind
	}
}

// soon is when a round that failed is tried again.
const soon = time.Second

// Round looks at the places where something has changed, or at the whole host when none is named, repairs and says when
// to look again, at the latest. What it did shows in the next round: its own changes nudge.
func (k *Keeper) Round(ctx context.Context, why string, at ...uplinks.Place) time.Duration {
	settings := k.Settings()
	suspects := k.suspected()
	facts, have, err := k.observe(ctx, settings, at)
	if err != nil {
		k.orderly = false // nobody names the places again
		k.failed("observe", err)
		return soon
	}
	only, whole := facts.Only, facts
	if only != nil {
		whole = k.facts.With(facts)
	}
	want, now := uplinks.Desired(settings, whole.Of(only)), time.Now()
	k.restrain.Want(want, func() uplinks.State { return uplinks.Desired(k.kept, k.facts.Of(only)) }, now)
	act, wait, next := k.restrain.Split(uplinks.Diff(want, have), now)
	done, err := uplinks.CarryOut(ctx, k.Kernel, act)
	k.repaired(done, why, where(facts), suspects)
	if err != nil && ctx.Err() == nil {
		k.failed("apply", err)
		next = soon
	}
	k.seen(settings, whole, only, act, err == nil && len(wait) == 0)
	if k.Observed != nil {
		k.Observed(settings, whole, only)
	}
	k.note(Report{
		InSync: len(act)+len(wait) == 0, Err: err, Changes: len(done), Repairs: kinds(done), Drift: len(act) + len(wait), Waiting: len(wait),
		Uplinks: len(settings.Uplinks), Findings: k.found.Findings(),
	})
	if left := max(k.Refresh-time.Since(k.looked), time.Millisecond); next == 0 || left < next {
		next = left
	}
	return next
}

// severalShares are looked at alone. With more, the whole host costs little more.
const severalShares = 16

// observe looks at the shares in which the places are, as long as all else was in order lately and they do not say that
// more must have changed. Otherwise it looks at the whole host.
func (k *Keeper) observe(ctx context.Context, s uplinks.Settings, at []uplinks.Place) (uplinks.Facts, uplinks.State, error) {
	only, known := s.At(k.facts, at)
	for share := range k.open {
		only = uplinks.Join(only, share)
	}
	if len(at) > 0 && known && k.orderly && len(only) <= severalShares && time.Since(k.looked) < k.Refresh {
		facts, have, err := k.Kernel.Observe(ctx, only...)
		if err != nil || !k.facts.Moves(facts) {
			return facts, have, err
		}
	}
	k.looked = time.Now()
	return k.Kernel.Observe(ctx)
}

// seen takes over the facts, what there is to say of them, and in what of the host there was something to do.
func (k *Keeper) seen(s uplinks.Settings, whole uplinks.Facts, only []uplinks.Share, acted uplinks.Plan, well bool) {
	k.kept, k.facts = s, whole
	clear(k.open)
	if only == nil {
		k.orderly = well && len(acted) == 0
		k.found = uplinks.Inspect(s, whole)
		return
	}
	k.found = k.found.Again(s, whole, only)
	k.orderly = k.orderly && well
	if len(acted) == 0 {
		return
	}
	links := slices.ContainsFunc(acted, func(s uplinks.Step) bool { return uplinks.KindOf(s) != uplinks.KindRoute })
	for _, share := range only {
		if !links {
			share.Link = ""
		}
		if share != (uplinks.Share{}) {
			k.open[share] = true
		}
	}
}

// where is what facts are of.
func where(f uplinks.Facts) (at []uplinks.Place) {
	for _, share := range f.Only {
		if share.Link == "" {
			at = append(at, uplinks.Place{Table: share.Table})
		} else {
			at = append(at, uplinks.Place{Link: f.Links[share.Link].Index})
		}
	}
	if at == nil {
		return []uplinks.Place{{}}
	}
	return at
}

// repaired logs what changed. A round in which all is right says nothing.
func (k *Keeper) repaired(done uplinks.Plan, why string, at []uplinks.Place, suspects map[string]string) {
	if len(done) == 0 {
		return
	}
	for _, s := range done {
		k.Log.Info("changed", "step", s.String(), "why", why)
	}
	if k.Repaired != nil {
		k.Repaired(done, why, at)
	}
	for _, s := range k.restrain.Done(done, time.Now()) {
		k.Log.Warn("somebody undoes this again and again: repairing it less often", "repair", s.String(), "suspect", cmp.Or(suspects[subject(s)], "unknown"))
	}
}
