package socket

import (
	"context"
	"fmt"
	"time"
)

// WithTimeout returns a context for one probe. Its cause after the timeout is an error for the operator.
func WithTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, TimeoutError(timeout))
}

// TimeoutError is the error of a probe without a reply. It wraps context.DeadlineExceeded.
type TimeoutError time.Duration

func (l TimeoutError) Error() string { return fmt.Sprintf("no reply within %s", time.Duration(l)) }

func (TimeoutError) Unwrap() error { return context.DeadlineExceeded }
