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
	Observed func(uplinks.Settings, uplinks.Facts) // is told what each round saw, after its repairs; may be nil
	Repaired func(uplinks.Plan, string)            // is told what a round changed, and why; may be nil
	restrain *Restraint

	mu       sync.Mutex
	settings uplinks.Settings
	suspects map[string]string // who changed what last, as far as the kernel told
	report   Report
}

// Report is how things stand.
type Report struct {
	InSync   bool
	Since    time.Time      // of InSync
	Last     time.Time      // when the last round ended
	Err      error          // of the last round
	Changes  int            // steps that were carried out
	Repairs  map[string]int // the same by their kinds
	Drift    int            // steps that were to do when the last round looked
	Rounds   int
	Waiting  int // steps that wait because somebody undoes them
	Uplinks  int
	Findings []uplinks.Finding
}

// NewKeeper keeps to these settings.
func NewKeeper(k uplinks.Kernel, log *slog.Logger, s uplinks.Settings) *Keeper {
	return &Keeper{Kernel: k, Log: log, restrain: NewRestraint(), settings: s, suspects: map[string]string{}}
}

// Keep takes new settings for the next round.
func (k *Keeper) Keep(s uplinks.Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.settings = s
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

// Report is how things stand after the last round.
func (k *Keeper) Report() Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.report
}

// soon is when a round that failed is tried again.
const soon = time.Second

// Round looks, repairs and says when to look again. What it did shows in the next round: its own changes nudge.
func (k *Keeper) Round(ctx context.Context, why string) time.Duration {
	settings := k.Settings()
	suspects := k.suspected()
	facts, have, err := k.Kernel.Observe(ctx)
	if err != nil {
		k.failed("observe", err)
		return soon
	}
	want := uplinks.Desired(settings, facts)
	k.restrain.Want(want)
	act, wait, next := k.restrain.Split(uplinks.Diff(want, have), time.Now())
	done, err := uplinks.CarryOut(ctx, k.Kernel, act)
	k.repaired(done, why, suspects)
	if err != nil && ctx.Err() == nil {
		k.failed("apply", err)
		next = soon
	}
	if k.Observed != nil {
		k.Observed(settings, facts)
	}
	k.note(Report{
		InSync: len(act)+len(wait) == 0, Err: err, Changes: len(done), Repairs: kinds(done), Drift: len(act) + len(wait), Waiting: len(wait),
		Uplinks: len(settings.Uplinks), Findings: uplinks.Findings(settings, facts),
	})
	return next
}

// repaired logs what changed. A round in which all is right says nothing.
func (k *Keeper) repaired(done uplinks.Plan, why string, suspects map[string]string) {
	if len(done) == 0 {
		return
	}
	for _, s := range done {
		k.Log.Info("changed", "step", s.String(), "why", why)
	}
	if k.Repaired != nil {
		k.Repaired(done, why)
	}
	for _, s := range k.restrain.Done(done, time.Now()) {
		k.Log.Warn("somebody undoes this again and again: repairing it less often", "repair", s.String(), "suspect", cmp.Or(suspects[subject(s)], "unknown"))
	}
}

func (k *Keeper) failed(what string, err error) {
	k.mu.Lock()
	again := k.report.Err != nil && k.report.Err.Error() == err.Error()
	if k.report.InSync || k.report.Since.IsZero() {
		k.report.Since = time.Now()
	}
	k.report.Err, k.report.InSync, k.report.Last = err, false, time.Now()
	k.mu.Unlock()
	if !again {
		k.Log.Warn("will retry", "step", what, "err", err)
	}
}

// Tell logs findings that are not known yet.
func (k *Keeper) Tell(findings []uplinks.Finding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.warn(findings)
	k.report.Findings = slices.Concat(k.report.Findings, findings)
}

func (k *Keeper) warn(findings []uplinks.Finding) {
	for _, f := range findings {
		if !slices.Contains(k.report.Findings, f) {
			k.Log.Warn(f.What, "remedy", f.Remedy)
		}
	}
}

// note counts on, and tells findings once.
func (k *Keeper) note(r Report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.warn(r.Findings)
	r.Changes += k.report.Changes
	for kind, n := range k.report.Repairs {
		r.Repairs[kind] += n
	}
	r.Rounds = k.report.Rounds + 1
	r.Last = time.Now()
	r.Since = k.report.Since
	if r.InSync != k.report.InSync || r.Since.IsZero() {
		r.Since = time.Now()
	}
	k.report = r
}

// kinds counts steps by their kinds.
func kinds(p uplinks.Plan) map[string]int {
	n := map[string]int{}
	for _, s := range p {
		n[uplinks.KindOf(s)]++
	}
	return n
}
