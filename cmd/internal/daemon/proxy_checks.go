package daemon

import (
	"context"
	"time"
)

// proxyCheckInterval is the time from one check of a proxy to the next.
const proxyCheckInterval = time.Second

// proxyChecker is a kernel that sends the checks of proxies. *host.Host implements it.
type proxyChecker interface{ CheckProxies(ctx context.Context) }

// proxyCheckLoop sends the checks of transparent proxies. Their results change the fingerprint of the host.
type proxyCheckLoop struct {
	kernel proxyChecker // nil: that of a test has no proxies
}

func newProxyCheckLoop(kernel any) *proxyCheckLoop {
	checker, _ := kernel.(proxyChecker)
	return &proxyCheckLoop{checker}
}

// Run sends checks until the context ends.
func (l *proxyCheckLoop) Run(ctx context.Context) error {
	if l.kernel == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		began := time.Now()
		l.kernel.CheckProxies(ctx)
		if err := sleep(ctx, max(proxyCheckInterval-time.Since(began), 0)); err != nil {
			return err
		}
	}
}
