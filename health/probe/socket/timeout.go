package socket

import (
	"context"
	"fmt"
	"time"
)

// WithTimeout bounds a question by its timeout. When that is over, context.Cause says so in words.
func WithTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
}

// timeoutError is the timeout of a question that nobody has answered.
type timeoutError time.Duration

func (l timeoutError) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(l)) }

func (timeoutError) Unwrap() error { return context.DeadlineExceeded }
