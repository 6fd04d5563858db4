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

// proofScheduler is what the service knows of its uplinks beyond the kernel's state: who answers through them, and whether
// replies are proven to leave by them.
type proofScheduler struct {
	monitor      *monitor.Monitor
	proveAll     func(context.Context, health.Settings, []health.Path) ([]proof.PathResult, error)
	proveSubset  func(ctx context.Context, s health.Settings, f uplinks.Facts, paths, some []health.Path) ([]proof.PathResult, error)
	replyCounts  func(context.Context, []health.Path) (map[health.Key]health.ReplyCounts, error)
	requestCheck func() // asks for a look at the kernel, because a reply would stray
	log          *slog.Logger
	due          chan struct{} // a proof is out of date, and the kernel is as it should be

	mu        sync.Mutex
	settings  health.Settings
	facts     uplinks.Facts // for reading, as are the paths: other ones take their place
	paths     []health.Path
	dirty     map[health.Key]bool // what has changed since the last settled
	unproven  map[health.Key]bool // what had changed then, and is not proven since
	proofs    map[health.Key]health.Proof
	published map[health.Key]health.Proof // to the monitor; only the goroutine that proves
}

func newProofScheduler(m *monitor.Monitor, log *slog.Logger) *proofScheduler {
	return &proofScheduler{monitor: m, log: log, due: make(chan struct{}, 1), dirty: map[health.Key]bool{}, unproven: map[health.Key]bool{},
		proofs: map[health.Key]health.Proof{}, published: map[health.Key]health.Proof{}}
}

// configure takes what the configuration says about health.
func (c *proofScheduler) configure(s health.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = s
	c.invalidateAll()
	c.monitor.Configure(c.settings, c.paths)
}

// updatePaths takes over the host and the paths as a round saw them, which may have looked at some shares only. Of what was
// looked at the monitor is told in any case: an event may have told it otherwise meanwhile, and too late.
func (c *proofScheduler) updatePaths(s uplinks.Settings, f uplinks.Facts, only []uplinks.Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = f
	if only == nil {
		c.replacePaths(health.Paths(s, f))
		return
	}
	var paths []health.Path // in the place of those that others read
	for _, p := range health.Paths(s.Within(only), f) {
		at := slices.IndexFunc(c.paths, func(is health.Path) bool { return is.Key == p.Key })
		if at < 0 {
			c.replacePaths(health.Paths(s, f))
			return
		}
		if c.paths[at] != p {
			if paths == nil {
				paths = slices.Clone(c.paths)
			}
			paths[at], c.dirty[p.Key] = p, true
		}
		c.monitor.UpdatePath(p)
	}
	if paths != nil {
		c.paths = paths
	}
}

// replacePaths takes over all paths.
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

// invalidate notes that somebody has changed something at places: what was proven before says little about what is after
// it. A place that is of no path in particular may be of all.
func (c *proofScheduler) invalidate(scopes ...uplinks.ChangedScope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, place := range scopes {
		here := false
		for _, p := range c.paths {
			if place.Link == p.Index && p.Index != 0 || place.Table == p.Table {
				c.dirty[p.Key], here = true, true
			}
		}
		if !here {
			c.invalidateAll()
		}
	}
}

// invalidateAll has all proven anew.
func (c *proofScheduler) invalidateAll() {
	for _, p := range c.paths {
		c.dirty[p.Key] = true
	}
}

// schedule asks for new proofs if anything has changed. It is called when a round has found nothing more to do.
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

// takeUnproven gives the paths that are to be proven because they have changed, or all when that is asked for.
func (c *proofScheduler) takeUnproven(all bool) (s health.Settings, f uplinks.Facts, paths, some []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.paths {
		if all || c.unproven[p.Key] {
			some = append(some, p)
		}
	}
	clear(c.unproven)
	return c.settings, c.facts, c.paths, some
}

// current gives what is kept to. The paths are for reading: other ones take their place, and they stay as they are.
func (c *proofScheduler) current() (health.Settings, []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings, c.paths
}
