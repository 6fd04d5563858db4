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

// Prober is a health.Prober for ICMP targets. It is safe for concurrent use.
type Prober struct {
	resolver *resolve.Resolver
	senders  *senderPool

	mu        sync.Mutex
	observers map[uplinks.Family]*ingressObserver
}

// New returns a prober that resolves its targets with the resolver. Sockets are opened with the first probe, in the network
// namespace of the calling thread.
func New(resolver *resolve.Resolver) *Prober {
	return &Prober{resolver: resolver, senders: newSenderPool(), observers: map[uplinks.Family]*ingressObserver{}}
}

// Close closes the sockets. No probe may be running or follow.
func (a *Prober) Close() {
	a.senders.cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.observers {
		o.close()
	}
}

// Probe sends one echo request through the path and waits for its reply. A reply that arrives on another interface is a
// failure.
func (a *Prober) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.WithTimeout(ctx, q.Timeout)
	defer cancel()
	o := health.Outcome{Sent: time.Now()}
	var dst netip.Addr
	if dst, o.Err = a.resolver.Lookup(ctx, p, q.Target.Host); o.Err != nil {
		return o
	}
	if o = a.echo(ctx, p, dst); o.Err != nil {
		a.resolver.Invalidate(p, q.Target.Host)
	}
	return o
}

func (a *Prober) echo(ctx context.Context, p health.Path, dst netip.Addr) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	observer, err := a.observer(p)
	if err != nil {
		o.Err = err
		return o
	}
	r, err := observer.register(p, dst)
	if err != nil {
		o.Err = err
		return o
	}
	defer observer.unregister(r)
	if err = a.senders.send(ctx, p, r); err == nil {
		o.Sent, o.RTT, err = awaitReply(ctx, p, r)
	}
	if err != nil {
		o.Err = fmt.Errorf("ping %s through %s: %w", dst, p.Link, err)
	}
	return o
}

// observer returns the running ingress observer of the path's family, and opens one when there is none.
func (a *Prober) observer(p health.Path) (*ingressObserver, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o, ok := a.observers[p.Family]; ok && o.running() {
		return o, nil
	}
	o, err := newIngressObserver(p.Family)
	if err != nil {
		return nil, fmt.Errorf("receive %s echo replies: %w", p.Family, socket.Explain(p, err))
	}
	a.observers[p.Family] = o
	return o, nil
}

// awaitReply waits for the reply to a request that was sent, and requires that it arrived on the path's interface.
func awaitReply(ctx context.Context, p health.Path, r *request) (sentAt time.Time, rtt time.Duration, err error) {
	select {
	case <-r.answered:
	case <-ctx.Done():
	}
	sentAt, mismatch := r.status()
	switch {
	case !r.isAnswered() && mismatch != nil:
		return sentAt, 0, mismatch
	case !r.isAnswered():
		return sentAt, 0, context.Cause(ctx)
	}
	if name, differs := otherInterface(p, r.reply.ifindex); differs {
		return sentAt, 0, fmt.Errorf("the reply arrived on %s, not on %s", name, p.Link)
	}
	return sentAt, max(r.reply.at.Sub(sentAt), 0), nil
}

// otherInterface returns the name of the interface with that index and whether it differs from the path's. An interface
// that was recreated under the same name does not differ.
func otherInterface(p health.Path, ifindex int) (name string, differs bool) {
	if ifindex == p.Index {
		return "", false
	}
	link, err := net.InterfaceByIndex(ifindex)
	if err != nil {
		return fmt.Sprintf("an interface that no longer exists (index %d)", ifindex), true
	}
	return link.Name, link.Name != p.Link
}
