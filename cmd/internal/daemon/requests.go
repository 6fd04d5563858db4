package daemon

import (
	"context"
	"fmt"
	"time"

	"replypath/cmd/internal/control"
	"replypath/health"
	"replypath/uplinks"
)

// request is carried out by the goroutine of the loop.
type request interface {
	execute(ctx context.Context, c *configuration) error
}

// reloadRequest reads the configuration file again.
type reloadRequest struct {
	confirmWithin time.Duration // 0: the new configuration needs no confirmation
}

func (r reloadRequest) execute(ctx context.Context, c *configuration) error {
	return c.Reload(ctx, r.confirmWithin)
}

// confirmRequest keeps the configuration of the last reload.
type confirmRequest struct{}

func (confirmRequest) execute(_ context.Context, c *configuration) error { return c.Confirm() }

// drainer is a kernel that keeps which uplinks are drained. *host.Host implements it.
type drainer interface {
	SetDrained(uplink string, drained bool) error
}

// drainRequest takes an uplink out of outbound connections, or puts it back.
type drainRequest struct {
	uplink        string
	drained, move bool
}

func (r drainRequest) execute(_ context.Context, c *configuration) error {
	if err := c.reconciler.Settings().CheckDrain(r.uplink); err != nil {
		return err
	}
	to, state := "undrained", "back in use"
	if r.drained {
		to, state = "drained", "drained"
	}
	d, can := c.host.(drainer)
	if !can {
		return fmt.Errorf("this kernel keeps no drained uplinks")
	}
	if err := d.SetDrained(r.uplink, r.drained); err != nil {
		return fmt.Errorf("save that %s is %s: %w", r.uplink, state, err)
	}
	c.recorder.Record(health.Event{Kind: eventOutbound, Uplink: r.uplink, To: to, Text: r.uplink + " is " + state + " for outbound connections, by the operator"})
	if r.drained && r.move {
		c.reconciler.moveAfterRound = append(c.reconciler.moveAfterRound, r.uplink)
	}
	return nil
}

// requestQueue hands requests to the goroutine of the loop. Safe for concurrent use.
type requestQueue struct {
	pending chan pendingRequest
	rounds  *roundQueue
}

type pendingRequest struct {
	request
	result chan error // of the request and of the round that follows it
}

func newRequestQueue(rounds *roundQueue) *requestQueue {
	return &requestQueue{pending: make(chan pendingRequest, control.MaxCalls), rounds: rounds}
}

// Submit returns the result of the request once a round has carried it out.
func (q *requestQueue) Submit(ctx context.Context, r request) error {
	p := pendingRequest{r, make(chan error, 1)}
	select {
	case q.pending <- p:
	case <-ctx.Done():
		return ctx.Err()
	}
	q.rounds.RequestRound("request", uplinks.ChangedScope{})
	select {
	case err := <-p.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hangupWatcher reloads the configuration at each SIGHUP.
type hangupWatcher struct {
	hangups  <-chan struct{}
	requests *requestQueue
}

// Run submits reloads until the context ends.
func (w *hangupWatcher) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.hangups:
			_ = w.requests.Submit(ctx, reloadRequest{}) // the configuration logs the error
		}
	}
}
