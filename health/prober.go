package health

import (
	"context"
	"time"
)

// Outcome is the result of one sent probe.
type Outcome struct {
	Sent time.Time     // with the monotonic clock
	RTT  time.Duration // by the monotonic clock; valid when Err is nil
	Err  error         // why the probe is lost: timeout, send error, wrong answer, or an answer that came in by another link
}

// Prober sends probes. It is safe for concurrent use.
type Prober interface {
	// Probe sends one probe through the path and waits for its answer until the probe's timeout or the end of the context.
	Probe(ctx context.Context, p Path, q Probe) Outcome
}

// BatchProber is a Prober that sends many probes without a goroutine for each.
type BatchProber interface {
	Prober
	// Send sends the probes and returns without waiting for their answers. Each outcome is reported once, at the latest a moment
	// after the probe's timeout; it may be reported before Send returns. report gets the outcomes that are known at a time, also
	// from several goroutines at once; it must neither block nor keep the slice.
	Send(probes []BatchedProbe, report func([]BatchedOutcome))
}

// BatchedProbe is a probe of a batch. Its path and its settings never change.
type BatchedProbe struct {
	Path  *Path
	Probe *Probe
}

// BatchedOutcome is the outcome of a probe of a batch.
type BatchedOutcome struct {
	N int // the index of the probe in the batch
	Outcome
}
