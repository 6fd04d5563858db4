package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
)

// care is what the service knows of its uplinks beyond the kernel's state: who answers through them, and whether
// replies are proven to leave by them.
type care struct {
	monitor *health.Monitor
	prove   func(context.Context, health.Settings, []health.Path) ([]proof.Finding, error)
	some    func(ctx context.Context, s health.Settings, f uplinks.Facts, paths, some []health.Path) ([]proof.Finding, error)
	replies func(context.Context, []health.Path) (map[health.Key]health.Seen, error)
	doubt   func() // asks for a look at the kernel, because a reply would stray
	log     *slog.Logger
	due     chan struct{} // a proof is out of date, and the kernel is as it should be

	mu     sync.Mutex
	asked  health.Settings
	facts  uplinks.Facts // for reading, as are the paths: other ones take their place
	paths  []health.Path
	stale  map[health.Key]bool // what has changed since the last settled
	ripe   map[health.Key]bool // what had changed then, and is not proven since
	proofs map[health.Key]health.Proof
	told   map[health.Key]health.Proof // to the monitor; only the goroutine that proves
}

func newCare(m *health.Monitor, log *slog.Logger) *care {
	return &care{monitor: m, log: log, due: make(chan struct{}, 1), stale: map[health.Key]bool{}, ripe: map[health.Key]bool{},
		proofs: map[health.Key]health.Proof{}, told: map[health.Key]health.Proof{}}
}

// attend takes what the configuration says about health.
func (c *care) attend(s health.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = s
	c.outdate()
	c.monitor.Watch(c.asked, c.paths)
}

// observed takes over the host and the paths as a round saw them, which may have looked at some shares only. Of what was
// looked at the monitor is told in any case: an event may have told it otherwise meanwhile, and too late.
func (c *care) observed(s uplinks.Settings, f uplinks.Facts, only []uplinks.Share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = f
	if only == nil {
		c.renew(health.Paths(s, f))
		return
	}
	var paths []health.Path // in the place of those that others read
	for _, p := range health.Paths(s.Of(only), f) {
		at := slices.IndexFunc(c.paths, func(is health.Path) bool { return is.Key == p.Key })
		if at < 0 {
			c.renew(health.Paths(s, f))
			return
		}
		if c.paths[at] != p {
			if paths == nil {
				paths = slices.Clone(c.paths)
			}
			paths[at], c.stale[p.Key] = p, true
		}
		c.monitor.Move(p)
	}
	if paths != nil {
		c.paths = paths
	}
}

// renew takes over all paths.
func (c *care) renew(paths []health.Path) {
	before := make(map[health.Key]health.Path, len(c.paths))
	for _, p := range c.paths {
		before[p.Key] = p
	}
	for _, p := range paths {
		if before[p.Key] != p {
			c.stale[p.Key] = true
		}
	}
	c.paths = paths
	c.monitor.Watch(c.asked, paths)
}

// changed notes that somebody has changed something at places: what was proven before says little about what is after
// it. A place that is of no path in particular may be of all.
func (c *care) changed(at ...uplinks.Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, place := range at {
		here := false
		for _, p := range c.paths {
			if place.Link == p.Index && p.Index != 0 || place.Table == p.Table {
				c.stale[p.Key], here = true, true
			}
		}
		if !here {
			c.outdate()
		}
	}
}

// outdate has all proven anew.
func (c *care) outdate() {
	for _, p := range c.paths {
		c.stale[p.Key] = true
	}
}

// settled asks for new proofs if anything has changed. It is called when a round has found nothing more to do.
func (c *care) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.stale) == 0 {
		return
	}
	maps.Copy(c.ripe, c.stale)
	clear(c.stale)
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// ripened gives the paths that are to be proven because they have changed, or all when that is asked for.
func (c *care) ripened(all bool) (s health.Settings, f uplinks.Facts, paths, some []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.paths {
		if all || c.ripe[p.Key] {
			some = append(some, p)
		}
	}
	clear(c.ripe)
	return c.asked, c.facts, c.paths, some
}

// now gives what is kept to. The paths are for reading: other ones take their place, and they stay as they are.
func (c *care) now() (health.Settings, []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.paths
}
