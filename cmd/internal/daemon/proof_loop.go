package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

const (
	replyCountInterval = 10 * time.Second       // between two readings of the reply counters
	proofTimeout       = 20 * time.Second       // of one proof
	recheckDelay       = time.Second            // at most, between a proof that says No and the second one
	minProofPause      = 2 * time.Second        // between two proofs,
	proofPauseFactor   = 20                     // and at least so many times the CPU time of the last one,
	maxProofPause      = 7 * time.Second        // up to this
	intervalFactor     = 100                    // the default interval is at least so many times the CPU time of the last proof,
	maxIntervals       = 2                      // up to so many times itself
	gatherDelay        = 500 * time.Millisecond // from a change of something else than replypath's objects until the proof,
	minDelayedPause    = time.Second            // and between two such proofs, doubled while such changes go on,
	maxDelayedPause    = 30 * time.Second       // up to this
	delayedQuiet       = 5 * time.Second        // behind a pause without such a change, after which the next one is short again
	noProofInterval    = 24 * time.Hour         // where proofs are off
)

// Run proves the paths that have changed, and all paths at the configured interval or when a delayed proof was requested,
// until the context ends.
func (ps *proofScheduler) Run(ctx context.Context) error {
	counterTick := time.NewTicker(replyCountInterval)
	defer counterTick.Stop()
	proofTimer := time.NewTimer(resyncInterval)
	defer proofTimer.Stop()
	delayed := newDelayedProof()
	defer delayed.timer.Stop()
	dueTimer := newStoppedTimer()
	defer dueTimer.Stop()
	var earliest time.Time
	for {
		prove, all := true, false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ps.due:
			dueTimer.Reset(time.Until(earliest))
			continue
		case <-dueTimer.C:
		case <-proofTimer.C:
			all = true
		case <-ps.delayed:
			delayed.request()
			continue
		case <-delayed.timer.C:
			all = true
			delayed.begin()
		case <-counterTick.C:
			prove = false
		}
		if prove {
			before := ps.cpuTime()
			all = ps.proveWithRecheck(ctx, all)
			cost := ps.cpuTime() - before
			if all {
				proofTimer.Reset(ps.interval(cost))
			}
			earliest = time.Now().Add(min(max(minProofPause, proofPauseFactor*cost), maxProofPause))
		}
		if all || !prove {
			ps.readReplyCounts(ctx)
		}
		ps.publish()
	}
}

// processTime returns the CPU time of this process: unlike the duration of a proof, which mostly waits, it does not grow with what else the
// machine does.
func processTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // it cannot fail for the calling process
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// delayedProof is when a proof that may wait is due.
type delayedProof struct {
	timer    *time.Timer
	waits    bool
	earliest time.Time
	pause    time.Duration // after the last one
}

func newDelayedProof() delayedProof {
	return delayedProof{timer: newStoppedTimer(), pause: minDelayedPause}
}

func newStoppedTimer() *time.Timer {
	t := time.NewTimer(noProofInterval)
	t.Stop()
	return t
}

// request starts the timer, unless it runs.
func (d *delayedProof) request() {
	if !d.waits {
		d.waits = true
		d.timer.Reset(max(gatherDelay, time.Until(d.earliest)))
	}
}

// begin sets the pause behind the proof that the timer is for. It is longer when that was requested during the last pause, or soon after.
func (d *delayedProof) begin() {
	now := time.Now()
	if now.Sub(d.earliest) < delayedQuiet {
		d.pause = min(2*d.pause, maxDelayedPause)
	} else {
		d.pause = minDelayedPause
	}
	d.waits, d.earliest = false, now.Add(d.pause)
}

// interval returns the time until the next proof of all paths, given the CPU time of the last one: the configured interval, but that the
// default one is longer where a proof is expensive.
func (ps *proofScheduler) interval(cost time.Duration) time.Duration {
	s, paths := ps.current()
	if s.Proof.Interval == 0 || len(paths) == 0 {
		return noProofInterval
	}
	if s.Proof.Interval != health.DefaultProofSettings.Interval {
		return s.Proof.Interval
	}
	return min(max(s.Proof.Interval, intervalFactor*cost), maxIntervals*s.Proof.Interval)
}

// proveWithRecheck proves what has changed, or all paths, and reports whether it was all. When a path is found broken that was
// not before, or not for that cause, it proves all paths after the next round, as what breaks it may be under repair.
func (ps *proofScheduler) proveWithRecheck(ctx context.Context, all bool) bool {
	outcome := ps.proveOnce(ctx, all)
	if outcome.err == nil && ps.newlyBroken(outcome.results) {
		ps.invalidate(uplinks.ChangedScope{})
		ps.queue.RequestRound("stray reply", uplinks.ChangedScope{})
		if ps.awaitRepair(ctx) != nil {
			return false
		}
		outcome = ps.proveOnce(ctx, true)
	}
	if outcome.err != nil && ctx.Err() == nil {
		ps.log.Warn("cannot prove the reply paths, will retry", "err", outcome.err)
	}
	ps.store(outcome)
	return len(outcome.subset) == len(outcome.paths)
}

// newlyBroken reports whether a path is broken that was not at its last proof, or was for another cause.
func (ps *proofScheduler) newlyBroken(results []proof.PathResult) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return slices.ContainsFunc(results, func(r proof.PathResult) bool {
		now, last := r.Proof(health.ReplyCounts{}).Verdict(), ps.proofs[r.Path.Key]
		before := health.Proof{Routes: last.Routes, Trace: last.Trace}.Verdict()
		return now.Result == health.No && (before.Result != health.No || before.Cause != now.Cause)
	})
}

// proofOutcome has the results of a proof of the subset, or its error.
type proofOutcome struct {
	paths, subset []health.Path
	results       []proof.PathResult
	err           error
}

func (ps *proofScheduler) proveOnce(ctx context.Context, all bool) (o proofOutcome) {
	ctx, cancel := context.WithTimeoutCause(ctx, proofTimeout, errors.New("the proof took too long"))
	defer cancel()
	s, facts, paths, subset := ps.takeUnproven(all)
	o.paths, o.subset = paths, subset
	switch {
	case s.Proof.Interval == 0 || len(subset) == 0:
	case len(subset) == len(paths):
		o.results, o.err = ps.prover.Prove(ctx, s, paths)
	default:
		o.results, o.err = ps.prover.ProveSubset(ctx, s, facts, paths, subset)
	}
	return o
}

// awaitRepair waits until a round was in sync, at most recheckDelay.
func (ps *proofScheduler) awaitRepair(ctx context.Context) error {
	timer := time.NewTimer(recheckDelay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ps.due:
	case <-timer.C:
	}
	return nil
}

func (ps *proofScheduler) readReplyCounts(ctx context.Context) {
	_, paths := ps.current()
	counts, err := ps.counters.ReplyCounts(ctx, paths)
	if err != nil {
		if ctx.Err() == nil {
			ps.log.Debug("cannot read the reply counters", "err", err)
		}
		return
	}
	if _, err := ps.counters.NewStrays(paths, health.StrayWindow); err != nil {
		ps.log.Debug("cannot save the number of stray replies", "err", err)
	}
	strays := ps.checkStrays(ctx, paths, counts)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for k, n := range counts {
		p := ps.proofs[k]
		p.Replies = n
		if check, isNew := strays[k]; isNew {
			p.Strays = check
		}
		ps.proofs[k] = p
	}
}

// checkStrays returns the checks of the paths of which stray replies were counted since the last reading.
func (ps *proofScheduler) checkStrays(ctx context.Context, paths []health.Path, counts map[health.Key]health.ReplyCounts) map[health.Key]health.ProofCheck {
	checks := map[health.Key]health.ProofCheck{}
	for _, p := range paths {
		n, counted := counts[p.Key]
		if !counted {
			continue
		}
		before, known := ps.strayCounts[p.Key]
		ps.strayCounts[p.Key] = n.Stray
		if !known || n.Stray <= before {
			continue
		}
		examples, err := ps.prover.StrayExamples(ctx, p)
		if err != nil {
			ps.log.Debug("cannot look up connections whose replies stray", "err", err)
		}
		checks[p.Key] = p.StrayCheck(n.Stray-before, "within the last minute", examples)
	}
	return checks
}

// store keeps new results. The proof of a path without one is Unknown. A path that is gone is dropped with the next proof of
// all paths.
func (ps *proofScheduler) store(o proofOutcome) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	unknown := health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "proofs are off, or this one failed"}
	if len(o.subset) == len(o.paths) {
		before := ps.proofs
		ps.proofs = make(map[health.Key]health.Proof, len(o.paths))
		for _, p := range o.paths {
			ps.proofs[p.Key] = health.Proof{Replies: before[p.Key].Replies, Strays: before[p.Key].Strays}
		}
	}
	for _, p := range o.subset {
		ps.proofs[p.Key] = health.Proof{Routes: unknown, Trace: unknown, Replies: ps.proofs[p.Key].Replies, Strays: ps.proofs[p.Key].Strays}
	}
	for _, r := range o.results {
		p := r.Proof(ps.proofs[r.Path.Key].Replies)
		p.Strays = ps.proofs[r.Path.Key].Strays
		ps.proofs[r.Path.Key] = p
	}
}

// publish passes the proofs that have changed to the monitor.
func (ps *proofScheduler) publish() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for k, p := range ps.proofs {
		if ps.published[k] != p {
			ps.monitor.UpdateProof(k, p)
		}
	}
	ps.published = maps.Clone(ps.proofs)
}
