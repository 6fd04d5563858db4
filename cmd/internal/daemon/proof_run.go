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
	replyCountInterval = 10 * time.Second // between two readings of the reply counters
	proofTimeout       = 20 * time.Second // that one proof may take
	recheckDelay       = time.Second      // a reply that would stray is looked at again so much later, at the latest
	minProofPause      = 2 * time.Second  // between two proofs, and
	proofPauseFactor   = 20               // times what the last one took: somebody may change something all the time
	noProofInterval    = 24 * time.Hour   // nearly: nothing is to be proven
)

// run proves the reply path of what has changed, and of all every so often, until the context ends.
func (c *proofScheduler) run(ctx context.Context) error {
	tick := time.NewTicker(replyCountInterval)
	defer tick.Stop()
	again := time.NewTimer(resyncInterval)
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
			if all = c.proveWithRecheck(ctx, all); all {
				again.Reset(c.interval())
			}
			earliest = time.Now().Add(max(minProofPause, proofPauseFactor*time.Since(began)))
		}
		if all || !wanted {
			c.readReplyCounts(ctx)
		}
		c.publish()
	}
}

// interval is how often all is to be proven without a change.
func (c *proofScheduler) interval() time.Duration {
	s, paths := c.current()
	if s.Proof.Interval == 0 || len(paths) == 0 {
		return noProofInterval
	}
	return s.Proof.Interval
}

// proveWithRecheck asks and shows, of what has changed or of all, and says whether it was all. A reply that would stray is judged a
// second time, after a look at the kernel: somebody may have changed it a moment ago, and the repair is under way.
func (c *proofScheduler) proveWithRecheck(ctx context.Context, all bool) bool {
	outcome := c.proveOnce(ctx, all)
	if outcome.err == nil && proof.Overall(outcome.findings) == health.No {
		c.invalidate(uplinks.ChangedScope{})
		c.requestCheck()
		if c.awaitRepair(ctx) != nil {
			return false
		}
		outcome = c.proveOnce(ctx, true)
	}
	if outcome.err != nil && ctx.Err() == nil {
		c.log.Warn("cannot prove the reply path", "err", outcome.err)
	}
	c.store(outcome)
	return len(outcome.subset) == len(outcome.paths)
}

// proofOutcome is what was found out of some of the paths.
type proofOutcome struct {
	paths, subset []health.Path
	findings      []proof.PathResult
	err           error
}

func (c *proofScheduler) proveOnce(ctx context.Context, all bool) (f proofOutcome) {
	ctx, cancel := context.WithTimeoutCause(ctx, proofTimeout, errors.New("it took too long"))
	defer cancel()
	s, facts, paths, subset := c.takeUnproven(all)
	f.paths, f.subset = paths, subset
	switch {
	case s.Proof.Interval == 0 || len(subset) == 0:
	case len(subset) == len(paths):
		f.findings, f.err = c.proveAll(ctx, s, paths)
	default:
		f.findings, f.err = c.proveSubset(ctx, s, facts, paths, subset)
	}
	return f
}

func (c *proofScheduler) awaitRepair(ctx context.Context) error {
	timer := time.NewTimer(recheckDelay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.due:
	case <-timer.C:
	}
	return nil
}

// readReplyCounts reads the reply counters.
func (c *proofScheduler) readReplyCounts(ctx context.Context) {
	_, paths := c.current()
	seen, err := c.replyCounts(ctx, paths)
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
		p.Replies = n
		c.proofs[k] = p
	}
}

// store takes over new findings. What could not be proven anew is unknown now, and what is no path any more is forgotten.
func (c *proofScheduler) store(f proofOutcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unknown := health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "it was not asked for, or could not be done"}
	if len(f.subset) == len(f.paths) {
		before := c.proofs
		c.proofs = make(map[health.Key]health.Proof, len(f.paths))
		for _, p := range f.paths {
			c.proofs[p.Key] = health.Proof{Replies: before[p.Key].Replies}
		}
	}
	for _, p := range f.subset {
		c.proofs[p.Key] = health.Proof{Routes: unknown, Trace: unknown, Replies: c.proofs[p.Key].Replies}
	}
	for _, finding := range f.findings {
		c.proofs[finding.Path.Key] = finding.Proof(c.proofs[finding.Path.Key].Replies)
	}
}

// publish tells the monitor of proofs that are other than it knows.
func (c *proofScheduler) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, p := range c.proofs {
		if c.published[k] != p {
			c.monitor.UpdateProof(k, p)
		}
	}
	c.published = maps.Clone(c.proofs)
}
