package daemon

import (
	"context"
	"time"

	"replypath/health"
)

// proxyCheckInterval is the time from one check of a proxy to the next, which begins at a tick.
const proxyCheckInterval = time.Second

// proxyChecker is a kernel that sends the checks of proxies. *host.Host implements it.
type proxyChecker interface{ CheckProxies(ctx context.Context) }

// proxyCheckLoop sends the checks of transparent proxies. Their results change the fingerprint of the host.
type proxyCheckLoop struct {
	kernel proxyChecker // nil: that of a test has no proxies
	timers health.Timers
}

func newProxyCheckLoop(kernel any) *proxyCheckLoop {
	checker, _ := kernel.(proxyChecker)
	return &proxyCheckLoop{kernel: checker}
}

// Run sends checks until the context ends.
func (l *proxyCheckLoop) Run(ctx context.Context) error {
	if l.kernel == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	ticks := newTicks(l.timers)
	defer ticks.stop()
	for {
		began := time.Now()
		l.kernel.CheckProxies(ctx)
		if err := ticks.await(ctx, began, proxyCheckInterval); err != nil {
			return err
		}
	}
}
