package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

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
}

// ReplyCounter reads the reply counters of the paths. *host.Host implements it.
type ReplyCounter interface {
	ReplyCounts(ctx context.Context, paths []health.Path) (map[health.Key]health.ReplyCounts, error)
}

// proofScheduler keeps the monitored paths, and proves those that have changed once the kernel is in sync. Safe for
// concurrent use.
type proofScheduler struct {
	monitor  *monitor.Monitor
	prover   Prover
	counters ReplyCounter
	queue    *roundQueue
	log      *slog.Logger
	due      chan struct{} // a path in unproven waits

	// Of the goroutine of Run:
	published map[health.Key]health.Proof // to the monitor

	mu       sync.Mutex
	settings health.Settings
	facts    uplinks.Facts // replaced, never changed, as are paths
	paths    []health.Path
	dirty    map[health.Key]bool // changed, and the kernel may not be in sync yet
	unproven map[health.Key]bool // changed, and the kernel was in sync since
	proofs   map[health.Key]health.Proof
}

func newProofScheduler(m *monitor.Monitor, p Prover, c ReplyCounter, queue *roundQueue, log *slog.Logger) *proofScheduler {
	return &proofScheduler{monitor: m, prover: p, counters: c, queue: queue, log: log, due: make(chan struct{}, 1),
		published: map[health.Key]health.Proof{}, dirty: map[health.Key]bool{}, unproven: map[health.Key]bool{}, proofs: map[health.Key]health.Proof{}}
}

// configure sets the settings of the monitor and of the proofs.
func (c *proofScheduler) configure(s health.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
	c.invalidateAll()
	c.monitor.Configure(c.settings, c.paths)
}

// updatePaths sets the paths as a round observed them; only names the scopes that it read, nil for the whole host. It
// updates the monitor also where a path has not changed: an earlier event may have left the monitor with an older state.
func (c *proofScheduler) updatePaths(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = f
	if only == nil {
		c.replacePaths(health.Paths(s, f))
		return
	}
	var updated []health.Path // a copy of c.paths, which others may be reading
	for _, p := range health.Paths(s.Within(only), f) {
		i := slices.IndexFunc(c.paths, func(known health.Path) bool { return known.Key == p.Key })
		if i < 0 {
			c.replacePaths(health.Paths(s, f))
			return
		}
		if c.paths[i] != p {
			if updated == nil {
				updated = slices.Clone(c.paths)
			}
			updated[i], c.dirty[p.Key] = p, true
		}
		c.monitor.UpdatePath(p)
	}
	if updated != nil {
		c.paths = updated
	}
}

func (c *proofScheduler) replacePaths(paths []health.Path) {
	before := make(map[health.Key]health.Path, len(c.paths))
	for _, p := range c.paths {
		before[p.Key] = p
	}
	for _, p := range paths {
		if before[p.Key] != p {
			c.dirty[p.Key] = true
		}
	}
	c.paths = paths
	c.monitor.Configure(c.settings, paths)
}

// invalidate marks the paths of the scopes as to be proven again. A scope of no path may concern every path.
func (c *proofScheduler) invalidate(scopes ...uplinks.ChangedScope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, scope := range scopes {
		found := false
		for _, p := range c.paths {
			if scope.Link == p.Index && p.Index != 0 || scope.Table == p.Table {
				c.dirty[p.Key], found = true, true
			}
		}
		if !found {
			c.invalidateAll()
		}
	}
}

func (c *proofScheduler) invalidateAll() {
	for _, p := range c.paths {
		c.dirty[p.Key] = true
	}
}

// schedule starts the proofs of what has changed, after a round that found nothing more to do.
func (c *proofScheduler) schedule() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.dirty) == 0 {
		return
	}
	maps.Copy(c.unproven, c.dirty)
	clear(c.dirty)
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// takeUnproven returns all paths, and the subset to prove: those that have changed, or all.
func (c *proofScheduler) takeUnproven(all bool) (s health.Settings, f uplinks.Facts, paths, subset []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.paths {
		if all || c.unproven[p.Key] {
			subset = append(subset, p)
		}
	}
	clear(c.unproven)
	return c.settings, c.facts, c.paths, subset
}

// current returns the settings and the paths, which the caller must not change.
func (c *proofScheduler) current() (health.Settings, []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings, c.paths
}
