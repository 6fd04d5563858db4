package socket

import (
	"context"
	"fmt"
	"time"
)

// Within bounds a question by its timeout. When that is over, context.Cause says so in words.
func Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, late(timeout))
}

// late is the timeout of a question that nobody has answered.
type late time.Duration

func (l late) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(l)) }

func (late) Unwrap() error { return context.DeadlineExceeded }
