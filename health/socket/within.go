package socket

import (
	"context"
	"fmt"
	"time"
)

// Within bounds a question by its timeout. When that is over, context.Cause says so in words.
func Within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	late := &explained{fmt.Sprintf("no answer within %s", timeout), context.DeadlineExceeded}
	return context.WithTimeoutCause(ctx, timeout, late)
}
