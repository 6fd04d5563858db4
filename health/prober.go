package health

import (
	"context"
	"time"
)

// Outcome is what came of one question.
type Outcome struct {
	Sent time.Time     // with the monotonic clock
	RTT  time.Duration // by the monotonic clock; only when Err is nil
	Err  error         // why it counts as lost: nobody answered in time, it could not be sent, the answer was wrong or came in by another link
}

// Prober puts one question through a path and waits for the answer, no longer than the probe's timeout. It may be called
// from many goroutines. Context end is the only other bound.
type Prober interface {
	Probe(ctx context.Context, p Path, q Probe) Outcome
}
