package daemon

import (
	"context"
	"errors"
	"maps"
	"time"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
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

// run proves the reply path of what has changed, and of all every so often, until the context ends.
func (c *care) run(ctx context.Context) error {
	tick := time.NewTicker(counting)
	defer tick.Stop()
	again := time.NewTimer(refresh)
	defer again.Stop()
	var earliest time.Time
	for {
		wanted, all := true, false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.due:
			if err := sleep(ctx, time.Until(earliest)); err != nil {
				return err
			}
		case <-again.C:
			all = true
		case <-tick.C:
			wanted = false
		}
		if wanted {
			began := time.Now()
			if all = c.show(ctx, all); all {
				again.Reset(c.every())
			}
			earliest = time.Now().Add(max(pause, share*time.Since(began)))
		}
		if all || !wanted {
			c.count(ctx)
		}
		c.publish()
	}
}

// every is how often all is to be proven without a change.
func (c *care) every() time.Duration {
	s, paths := c.now()
	if s.Proof.Every == 0 || len(paths) == 0 {
		return seldom
	}
	return s.Proof.Every
}

// show asks and shows, of what has changed or of all, and says whether it was all. A reply that would stray is judged a
// second time, after a look at the kernel: somebody may have changed it a moment ago, and the repair is under way.
func (c *care) show(ctx context.Context, all bool) bool {
	found := c.shown(ctx, all)
	if found.err == nil && proof.Result(found.findings) == health.No {
		c.changed(uplinks.Place{})
		c.doubt()
		if c.waitToSettle(ctx) != nil {
			return false
		}
		found = c.shown(ctx, true)
	}
	if found.err != nil && ctx.Err() == nil {
		c.log.Warn("cannot prove the reply path", "err", found.err)
	}
	c.keep(found)
	return len(found.some) == len(found.paths)
}

// found is what was found out of some of the paths.
type found struct {
	paths, some []health.Path
	findings    []proof.Finding
	err         error
}

func (c *care) shown(ctx context.Context, all bool) (f found) {
	ctx, cancel := context.WithTimeoutCause(ctx, proofTime, errors.New("it took too long"))
	defer cancel()
	s, facts, paths, some := c.ripened(all)
	f.paths, f.some = paths, some
	switch {
	case s.Proof.Every == 0 || len(some) == 0:
	case len(some) == len(paths):
		f.findings, f.err = c.prove(ctx, s, paths)
	default:
		f.findings, f.err = c.some(ctx, s, facts, paths, some)
	}
	return f
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

// keep takes over new findings. What could not be proven anew is unknown now, and what is no path any more is forgotten.
func (c *care) keep(f found) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unknown := health.Check{Result: health.Unknown, Cause: health.CannotShow, Why: "it was not asked for, or could not be done"}
	if len(f.some) == len(f.paths) {
		before := c.proofs
		c.proofs = make(map[health.Key]health.Proof, len(f.paths))
		for _, p := range f.paths {
			c.proofs[p.Key] = health.Proof{Seen: before[p.Key].Seen}
		}
	}
	for _, p := range f.some {
		c.proofs[p.Key] = health.Proof{Asked: unknown, Shown: unknown, Seen: c.proofs[p.Key].Seen}
	}
	for _, finding := range f.findings {
		c.proofs[finding.Path.Key] = finding.Proof(c.proofs[finding.Path.Key].Seen)
	}
}

// publish tells the monitor of proofs that are other than it knows.
func (c *care) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, p := range c.proofs {
		if c.told[k] != p {
			c.monitor.Prove(k, p)
		}
	}
	c.told = maps.Clone(c.proofs)
}
