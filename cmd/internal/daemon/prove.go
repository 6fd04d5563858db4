package daemon

import (
	"context"
	"errors"
	"time"

	"replypath/health"
	"replypath/health/proof"
)

// The times of proofs.
const (
	counting  = 10 * time.Second // between two readings of the reply counters
	proofTime = 20 * time.Second // that one proof may take
	recheck   = time.Second      // a reply that would stray is looked at again so much later, at the latest
	pause     = 2 * time.Second  // between two proofs, and
	share     = 20               // times what the last one took: somebody may change something all the time
	seldom    = 24 * time.Hour   // nearly: nothing is to be proven
)

// run proves the reply path after each change, and every so often without one, until the context ends.
func (c *care) run(ctx context.Context) error {
	tick := time.NewTicker(counting)
	defer tick.Stop()
	again := time.NewTimer(refresh)
	defer again.Stop()
	var earliest time.Time
	for {
		wanted := true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.due:
			if err := sleep(ctx, time.Until(earliest)); err != nil {
				return err
			}
		case <-again.C:
		case <-tick.C:
			wanted = false
		}
		if wanted {
			began := time.Now()
			every := c.show(ctx)
			earliest = time.Now().Add(max(pause, share*time.Since(began)))
			again.Reset(every)
		}
		c.count(ctx)
		c.publish()
	}
}

// show asks and shows, and says when it should be done again without a change. A reply that would stray is judged a
// second time, after a look at the kernel: somebody may have changed it a moment ago, and the repair is under way.
func (c *care) show(ctx context.Context) (every time.Duration) {
	s, paths := c.now()
	if s.Proof.Every == 0 || len(paths) == 0 {
		c.keep(paths, nil)
		return seldom
	}
	findings, err := c.shown(ctx, s, paths)
	if err == nil && proof.Result(findings) == health.No {
		c.changed()
		c.doubt()
		if err := c.waitToSettle(ctx); err != nil {
			return seldom
		}
		s, paths = c.now()
		findings, err = c.shown(ctx, s, paths)
	}
	if err != nil && ctx.Err() == nil {
		c.log.Warn("cannot prove the reply path", "err", err)
	}
	c.keep(paths, findings)
	return s.Proof.Every
}

func (c *care) shown(ctx context.Context, s health.Settings, paths []health.Path) ([]proof.Finding, error) {
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

// count reads the reply counters.
func (c *care) count(ctx context.Context) {
	_, paths := c.now()
	seen, err := c.replies(ctx, paths)
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

// keep takes over new findings. What could not be proven anew is unknown now.
func (c *care) keep(paths []health.Path, findings []proof.Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unknown := health.Check{Result: health.Unknown, Cause: health.CannotShow, Why: "it was not asked for, or could not be done"}
	proofs := make(map[health.Key]health.Proof, len(paths))
	for _, p := range paths {
		proofs[p.Key] = health.Proof{Asked: unknown, Shown: unknown, Seen: c.proofs[p.Key].Seen}
	}
	for _, f := range findings {
		proofs[f.Path.Key] = f.Proof(c.proofs[f.Path.Key].Seen)
	}
	c.proofs = proofs
}

func (c *care) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, p := range c.proofs {
		c.monitor.Prove(k, p)
	}
}
