package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/uplinks/rtnl"
)

// earlyEndpointDelay is the time that a start may take until the endpoint listens before its end. Most starts are shorter, and
// a service that is refused never listens.
const earlyEndpointDelay = 300 * time.Millisecond

// earlyEndpoint is the endpoint and its data. It answers while the service opens the host, which takes as long as the
// commands of the firewall. Safe for concurrent use. It implements endpoint.Source.
type earlyEndpoint struct {
	server  *endpoint.Server
	events  *health.EventLog
	build   string
	began   time.Time
	current atomic.Pointer[statusSource] // nil: the service is starting
	opened  chan struct{}                // closed once current is set
	served  chan struct{}                // closed at the end
}

func newEarlyEndpoint(log *slog.Logger, build string, c config.Config) *earlyEndpoint {
	e := &earlyEndpoint{events: &health.EventLog{}, build: build, began: time.Now(), opened: make(chan struct{}), served: make(chan struct{})}
	e.server = endpoint.New(log, c.Endpoint, e, rtnl.TCPSocketOwner)
	return e
}

// serve serves in the background from the end of the start on, or after the delay. Await the end with served.
func (e *earlyEndpoint) serve(ctx context.Context) {
	go func() {
		defer close(e.served)
		select {
		case <-ctx.Done():
		case <-e.opened:
		case <-time.After(earlyEndpointDelay):
		}
		// Serve logs its errors, and returns only that of the context.
		_ = e.server.Serve(ctx)
	}()
}

// use replaces the status of a start.
func (e *earlyEndpoint) use(s *statusSource) {
	e.current.Store(s)
	close(e.opened)
}

// Status implements endpoint.Source.
func (e *earlyEndpoint) Status() health.Status {
	if s := e.current.Load(); s != nil {
		return s.Status()
	}
	now := time.Now()
	starting := fmt.Sprintf("the service is starting: for %s it has been waiting for the commands of the firewall", now.Sub(e.began).Round(time.Second))
	return health.Status{Version: health.StatusVersion, At: now, Started: e.began, Build: e.build, Problems: []string{starting}}
}

// Subscribe implements endpoint.Source.
func (e *earlyEndpoint) Subscribe(buffer int) *health.Subscription { return e.events.Subscribe(buffer) }
