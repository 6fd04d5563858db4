package daemon

import (
	"context"
	"log/slog"
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
	replies func(context.Context, []health.Path) (map[health.Key]health.Seen, error)
	doubt   func() // asks for a look at the kernel, because a reply would stray
	log     *slog.Logger
	due     chan struct{} // the proof is out of date, and the kernel is as it should be

	mu     sync.Mutex
	asked  health.Settings
	paths  []health.Path
	stale  bool // something has changed since the last settled
	proofs map[health.Key]health.Proof
}

func newCare(m *health.Monitor, log *slog.Logger) *care {
	return &care{monitor: m, log: log, due: make(chan struct{}, 1), proofs: map[health.Key]health.Proof{}}
}

// attend takes what the configuration says about health.
func (c *care) attend(s health.Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.stale = s, true
	c.monitor.Watch(c.asked, c.paths)
}

// observed takes over the paths as a round saw them.
func (c *care) observed(s uplinks.Settings, f uplinks.Facts) {
	paths := health.Paths(s, f)
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Equal(paths, c.paths) {
		return
	}
	c.paths, c.stale = paths, true
	c.monitor.Watch(c.asked, paths)
}

// changed notes that somebody has changed something: what was proven before says little about what is after it.
func (c *care) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
}

// settled asks for a new proof if anything has changed. It is called when a round has found nothing more to do.
func (c *care) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stale {
		return
	}
	c.stale = false
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// now gives what is kept to. The paths are for reading: other ones take their place, and they stay as they are.
func (c *care) now() (health.Settings, []health.Path) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.paths
}
