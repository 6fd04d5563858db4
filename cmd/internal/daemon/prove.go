package daemon

import (
	"context"
	"errors"
	"maps"
	"time"

	"replypath/health"
)

// The times of proofs.
const (
	counting  = 10 * time.Second // between two readings of the reply counters
	proofTime = 20 * time.Second // that one proof may take
	recheck   = time.Second      // a reply that would stray is looked at again so much later, at the latest
)

// run proves the reply path after each change, and every so often without one, until the context ends.
func (c *care) run(ctx context.Context) error {
	tick := time.NewTicker(counting)
	defer tick.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.due:
			last = c.show(ctx)
		case <-tick.C:
			if s, _ := c.now(); s.Proof.Every > 0 && time.Since(last) >= s.Proof.Every-counting/2 {
				last = c.show(ctx)
			}
		}
		c.count(ctx)
		c.publish()
	}
}

// show asks and shows. A reply that would stray is judged a second time, after a look at the kernel: somebody may have
// changed it a moment ago, and the repair is under way.
func (c *care) show(ctx context.Context) time.Time {
	s, paths := c.now()
	if s.Proof.Every == 0 || len(paths) == 0 || c.prove == nil {
		c.keep(paths, nil)
		return time.Now()
	}
	proofs, err := c.shown(ctx, s, paths)
	if err == nil && strays(proofs) {
		c.doubt()
		if err := c.waitToSettle(ctx); err != nil {
			return time.Now()
		}
		s, paths = c.now()
		proofs, err = c.shown(ctx, s, paths)
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn("cannot prove the reply path", "err", err)
	}
	c.keep(paths, proofs)
	return time.Now()
}

func (c *care) shown(ctx context.Context, s health.Settings, paths []health.Path) (map[health.Key]health.Proof, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, proofTime, errors.New("it took too long"))
	defer cancel()
	return c.prove(ctx, s, paths)
}

func (c *care) waitToSettle(ctx context.Context) error {
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.due:
	case <-timer.C:
	}
	return nil
}

func strays(proofs map[health.Key]health.Proof) bool {
	for _, p := range proofs {
		if p.Asked.Result == health.No || p.Shown.Result == health.No {
			return true
		}
	}
	return false
}

// count reads the reply counters.
func (c *care) count(ctx context.Context) {
	if c.replies == nil {
		return
	}
	seen, err := c.replies(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Debug("cannot read the reply counters", "err", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, n := range seen {
		p := c.proofs[k]
		p.Seen = n
		c.proofs[k] = p
	}
}

// keep takes over new proofs. What could not be proven anew is unknown now.
func (c *care) keep(paths []health.Path, proofs map[health.Key]health.Proof) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := maps.Clone(c.proofs)
	clear(c.proofs)
	for _, path := range paths {
		p, proven := proofs[path.Key]
		if !proven {
			unknown := health.Check{Result: health.Unknown, Cause: health.CannotShow, Why: "it was not asked for"}
			p.Asked, p.Shown = unknown, unknown
		}
		p.Seen = old[path.Key].Seen
		c.proofs[path.Key] = p
	}
}

func (c *care) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, p := range c.proofs {
		c.monitor.Prove(k, p)
	}
}
