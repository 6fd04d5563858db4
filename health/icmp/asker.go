package icmp

import (
	"context"
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
	names   *resolve.Resolver
	pingers sync.WaitGroup

	mu        sync.Mutex
	witnesses map[uplinks.Family]*witness
}

// New is an asker that finds its targets' addresses by these names. Its sockets are those of the network namespace of
// the first question.
func New(names *resolve.Resolver) *Asker {
	return &Asker{names: names, witnesses: map[uplinks.Family]*witness{}}
}

// Close ends what the questions have left running. No question may be under way, and none may follow.
func (a *Asker) Close() {
	a.mu.Lock()
	for _, w := range a.witnesses {
		w.close()
	}
	a.mu.Unlock()
	a.pingers.Wait()
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
	a.pingers.Go(func() { run.ended <- run.run(ctx) })
	return await(ctx, o, p, to, e, run)
}

// await wants both: that the library takes the answer for one to its question, and that the witness saw it come in by
// the path's link.
func await(ctx context.Context, o health.Outcome, p health.Path, to netip.Addr, e *expected, run *ping) health.Outcome {
	var at time.Time
	answered := false
	for at.IsZero() || !answered {
		select {
		case came := <-e.came:
			if by, other := otherLink(p, came.index); other {
				o.Err = fmt.Errorf("ask %s through %s: the answer came in by %s, not %s", to, p.Link, by, p.Link)
				return o
			}
			at = came.at
		case o.Sent = <-run.answered:
			answered = true
		case err := <-run.ended:
			if !answered && err != nil && ctx.Err() == nil {
				o.Err = fmt.Errorf("ask %s through %s: %w", to, p.Link, err)
				return o
			}
			run.ended = nil
		case <-ctx.Done():
			o.Err = fmt.Errorf("ask %s through %s: %w", to, p.Link, context.Cause(ctx))
			if !at.IsZero() {
				o.Err = fmt.Errorf("ask %s through %s: what came is no answer to this question", to, p.Link)
			}
			return o
		}
	}
	o.RTT = max(at.Sub(o.Sent), 0)
	return o
}
