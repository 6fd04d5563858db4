package icmp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/resolve"
	"replypath/health/socket"
	"replypath/uplinks"
)

// Asker is a health.Asker for ICMP targets.
type Asker struct {
	names *resolve.Resolver

	mu        sync.Mutex
	witnesses map[uplinks.Family]*witness
}

// New is an asker that finds its targets' addresses by these names. Its sockets are those of the network namespace of
// the first question.
func New(names *resolve.Resolver) *Asker {
	return &Asker{names: names, witnesses: map[uplinks.Family]*witness{}}
}

// Close stops hearing. No question may be under way, and none may follow.
func (a *Asker) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.witnesses {
		w.close()
	}
}

// Ask sends one echo request through the path. An answer that comes in by another link is a failure.
func (a *Asker) Ask(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.Within(ctx, q.Timeout)
	defer cancel()
	o := health.Outcome{Sent: time.Now()}
	var to netip.Addr
	if to, o.Err = a.names.Addr(ctx, p, q.Target.Host); o.Err != nil {
		return o
	}
	if o = a.echo(ctx, p, to); o.Err != nil {
		a.names.Forget(p, q.Target.Host)
	}
	return o
}

func (a *Asker) echo(ctx context.Context, p health.Path, to netip.Addr) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	w, err := a.witness(p)
	if err != nil {
		o.Err = err
		return o
	}
	e, err := w.expect(p, to)
	if err != nil {
		o.Err = err
		return o
	}
	defer w.forget(e)
	run := newPing(p, to, e)
	o.Sent, err = run.run(ctx)
	if o.RTT, err = judge(ctx, p, o.Sent, e, err); err != nil {
		o.Err = fmt.Errorf("ask %s through %s: %w", to, p.Link, err)
	}
	return o
}

// judge wants both: that the library took the answer for one to its question, which is when it failed with nothing, and
// that the witness heard it come in by the path's link.
func judge(ctx context.Context, p health.Path, sent time.Time, e *expected, failed error) (time.Duration, error) {
	if failed == nil {
		select { // the library may have been quicker
		case <-e.heard:
		case <-ctx.Done():
		}
	}
	came, heard := e.arrival()
	switch by, other := otherLink(p, came.index); {
	case heard && other:
		return 0, fmt.Errorf("the answer came in by %s, not %s", by, p.Link)
	case heard && failed != nil:
		return 0, errors.New("what came is no answer to this question")
	case failed != nil && ctx.Err() == nil:
		return 0, failed
	case !heard && failed == nil:
		return 0, fmt.Errorf("the answer came in by no link, and so not by %s: is it an address of this host?", p.Link)
	case !heard:
		return 0, context.Cause(ctx)
	}
	return max(came.at.Sub(sent), 0), nil
}
