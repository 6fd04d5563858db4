package icmp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/resolve"
	"replypath/health/probe/socket"
	"replypath/uplinks"
)

// Prober is a health.Asker for ICMP targets.
type Prober struct {
	resolver *resolve.Resolver
	senders  *senders

	mu        sync.Mutex
	witnesses map[uplinks.Family]*witness
}

// New is an asker that finds its targets' addresses by these names. It has no sockets before the first question.
func New(resolver *resolve.Resolver) *Prober {
	return &Prober{resolver: resolver, senders: newSenders(), witnesses: map[uplinks.Family]*witness{}}
}

// Close has the sockets closed. No question may be under way, and none may follow.
func (a *Prober) Close() {
	a.senders.end()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.witnesses {
		w.close()
	}
}

// Probe sends one echo request through the path. An answer that comes in by another link is a failure.
func (a *Prober) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.WithTimeout(ctx, q.Timeout)
	defer cancel()
	o := health.Outcome{Sent: time.Now()}
	var to netip.Addr
	if to, o.Err = a.resolver.Lookup(ctx, p, q.Target.Host); o.Err != nil {
		return o
	}
	if o = a.echo(ctx, p, to); o.Err != nil {
		a.resolver.Invalidate(p, q.Target.Host)
	}
	return o
}

func (a *Prober) echo(ctx context.Context, p health.Path, to netip.Addr) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	w, err := a.witness(p)
	if err != nil {
		o.Err = err
		return o
	}
	q, err := w.expect(p, to)
	if err != nil {
		o.Err = err
		return o
	}
	defer w.forget(q)
	if err = a.senders.put(ctx, p, q); err == nil {
		o.Sent, o.RTT, err = judge(ctx, p, q)
	}
	if err != nil {
		o.Err = fmt.Errorf("ask %s through %s: %w", to, p.Link, err)
	}
	return o
}

// judge waits for the answer to a question that has left, and wants it to come in by the path's link.
func judge(ctx context.Context, p health.Path, q *question) (sent time.Time, rtt time.Duration, err error) {
	select {
	case <-q.heard:
	case <-ctx.Done():
	}
	sent, odd := q.fate()
	switch {
	case !q.answered() && odd != nil:
		return sent, 0, odd
	case !q.answered():
		return sent, 0, context.Cause(ctx)
	}
	if by, other := otherLink(p, q.came.index); other {
		return sent, 0, fmt.Errorf("the answer came in by %s, not %s", by, p.Link)
	}
	return sent, max(q.came.at.Sub(sent), 0), nil
}

// otherLink is the name of the link, when it is not the path's. A path's link that was made again is still its link.
func otherLink(p health.Path, index int) (name string, other bool) {
	if index == p.Index {
		return "", false
	}
	link, err := net.InterfaceByIndex(index)
	if err != nil {
		return fmt.Sprintf("a link that is gone (index %d)", index), true
	}
	return link.Name, link.Name != p.Link
}
