package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/monitor"
	"replypath/health/proof"
	"replypath/uplinks"
)

// Prover proves reply paths. prover.Prover implements it.
type Prover interface {
	// Prove proves all paths.
	Prove(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.PathResult, error)
	// ProveSubset proves some of the paths, given recent facts of the host.
	ProveSubset(ctx context.Context, s health.Settings, f uplinks.Facts, paths, subset []health.Path) ([]proof.PathResult, error)
	// InvalidateRules makes the next proof read the firewall rules of other programs again.
	InvalidateRules()
	// InvalidateRoutes makes it read their routes and IPsec policies again.
	InvalidateRoutes()
	// StrayExamples returns connections of the path whose replies stray now, as text.
	StrayExamples(ctx context.Context, p health.Path) (string, error)
}

// ReplyCounter reads the reply counters of the paths. *host.Host implements it.
type ReplyCounter interface {
	ReplyCounts(ctx context.Context, paths []health.Path) (map[health.Key]health.ReplyCounts, error)
	// NewStrays returns the stray replies since the last proof of any process, and makes others report them for a while.
	NewStrays(paths []health.Path, remember time.Duration) (map[health.Key]uint64, error)
}

// proofScheduler keeps the monitored paths, and proves those that have changed once the kernel is in sync. Safe for
// concurrent use.
type proofScheduler struct {
	monitor  *monitor.Monitor
	prover   Prover
	counters ReplyCounter
	queue    *roundQueue
	log      *slog.Logger
	cpuTime  func() time.Duration // of this process
	due      chan struct{}        // a path in unproven waits
	delayed  chan struct{}        // a proof of all paths is requested, and may wait

	// Of the goroutine of Run:
	published   map[health.Key]health.Proof // to the monitor
	strayCounts map[health.Key]uint64       // as last read

	mu       sync.Mutex
	settings health.Settings
	facts    uplinks.Facts // replaced, never changed, as are paths
	paths    []health.Path
	dirty    map[health.Key]bool // changed, and the kernel may not be in sync yet
	unproven map[health.Key]bool // changed, and the kernel was in sync since: to be proven; not the state Unproven
	proofs   map[health.Key]health.Proof
}

func newProofScheduler(m *monitor.Monitor, p Prover, c ReplyCounter, queue *roundQueue, log *slog.Logger) *proofScheduler {
	return &proofScheduler{monitor: m, prover: p, counters: c, queue: queue, log: log, cpuTime: processTime, due: make(chan struct{}, 1), delayed: make(chan struct{}, 1),
		published: map[health.Key]health.Proof{}, strayCounts: map[health.Key]uint64{}, dirty: map[health.Key]bool{}, unproven: map[health.Key]bool{}, proofs: map[health.Key]health.Proof{}}
}

// configure sets the settings of the monitor and of the proofs.
func (ps *proofScheduler) configure(s health.Settings) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.settings = s
	ps.invalidateAll()
	ps.monitor.Configure(ps.settings, ps.paths)
}

// updatePaths sets the paths as a round observed them; only names the scopes that it read, nil for the whole host. It
// updates the monitor also where a path has not changed: an earlier event may have left the monitor with an older state.
func (ps *proofScheduler) updatePaths(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.facts = f
	if only == nil {
		ps.replacePaths(health.Paths(s, f))
		return
	}
	var updated []health.Path // a copy of ps.paths, which other goroutines may be reading
	for _, p := range health.Paths(s.Within(only), f) {
		i := slices.IndexFunc(ps.paths, func(known health.Path) bool { return known.Key == p.Key })
		if i < 0 {
			ps.replacePaths(health.Paths(s, f))
			return
		}
		if ps.paths[i] != p {
			if updated == nil {
				updated = slices.Clone(ps.paths)
			}
			updated[i], ps.dirty[p.Key] = p, true
		}
		ps.monitor.UpdatePath(p)
	}
	if updated != nil {
		ps.paths = updated
	}
}

func (ps *proofScheduler) replacePaths(paths []health.Path) {
	before := make(map[health.Key]health.Path, len(ps.paths))
	for _, p := range ps.paths {
		before[p.Key] = p
	}
	for _, p := range paths {
		if before[p.Key] != p {
			ps.dirty[p.Key] = true
		}
	}
	ps.paths = paths
	ps.monitor.Configure(ps.settings, paths)
}

// invalidate marks the paths of the scopes as to be proven again. A scope of no path may concern every path.
func (ps *proofScheduler) invalidate(scopes ...uplinks.ChangedScope) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, scope := range scopes {
		found := false
		for _, p := range ps.paths {
			if scope.Link == p.Index && p.Index != 0 || scope.Table == p.Table {
				ps.dirty[p.Key], found = true, true
			}
		}
		if !found {
			ps.invalidateAll()
		}
	}
}

func (ps *proofScheduler) invalidateAll() {
	for _, p := range ps.paths {
		ps.dirty[p.Key] = true
	}
}

// rulesChanged requests a proof because rules of the firewall, or sysctls, have changed.
func (ps *proofScheduler) rulesChanged() {
	ps.prover.InvalidateRules()
	ps.requestDelayed()
}

// requestDelayed requests a proof of all paths because something else than replypath's objects has changed. Requests may be
// frequent: they are combined. It never blocks.
func (ps *proofScheduler) requestDelayed() {
	select {
	case ps.delayed <- struct{}{}:
	default:
	}
}

// schedule starts the proofs of what has changed, after a round that found nothing more to do.
func (ps *proofScheduler) schedule() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.dirty) == 0 {
		return
	}
	maps.Copy(ps.unproven, ps.dirty)
	clear(ps.dirty)
	select {
	case ps.due <- struct{}{}:
	default:
	}
}

// takeUnproven returns all paths, and the subset to prove: those that have changed, or all.
func (ps *proofScheduler) takeUnproven(all bool) (s health.Settings, f uplinks.Facts, paths, subset []health.Path) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.paths {
		if all || ps.unproven[p.Key] {
			subset = append(subset, p)
		}
	}
	clear(ps.unproven)
	return ps.settings, ps.facts, ps.paths, subset
}

// current returns the settings and the paths, which the caller must not change.
func (ps *proofScheduler) current() (health.Settings, []health.Path) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.settings, ps.paths
}
