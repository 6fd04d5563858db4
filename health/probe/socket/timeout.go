package socket

import (
	"context"
	"fmt"
	"time"
)

// WithTimeout returns a context for one probe. Its cause after the timeout is an error for the operator.
func WithTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
}

// timeoutError is the error of a probe without a reply. It wraps context.DeadlineExceeded.
type timeoutError time.Duration

func (l timeoutError) Error() string { return fmt.Sprintf("no reply within %s", time.Duration(l)) }

func (timeoutError) Unwrap() error { return context.DeadlineExceeded }
