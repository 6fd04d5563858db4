// Package connect asks by TCP and by HTTP: does a service answer through this uplink? Its sockets are bound to the
// uplink's link as well as marked, so an answer that comes in by another link is none.
package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"replypath/health"
	"replypath/health/resolve"
	"replypath/health/socket"
)

// Asker is a health.Asker for TCP and HTTP targets.
type Asker struct {
	names    *resolve.Resolver
	sessions *sessions
}

// New is an asker that finds its targets' addresses by these names.
func New(names *resolve.Resolver) *Asker { return &Asker{names, newSessions()} }

// Ask opens one connection through the path and hangs up before it is complete, or gets the page where the target is HTTP. The
// time it took is that until it was answered, or until the page's header was there.
func (a *Asker) Ask(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.Within(ctx, q.Timeout)
	defer cancel()
	if q.Target.Kind == health.HTTP {
		return a.get(ctx, p, q.Target)
	}
	return a.connect(ctx, p, q.Target)
}

func (a *Asker) connect(ctx context.Context, p health.Path, t health.Target) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	var to netip.Addr
	if to, o.Err = a.names.Addr(ctx, p, t.Host); o.Err != nil {
		return o
	}
	o.Sent = time.Now()
	c, err := dial(ctx, socket.Knocker(p), p, netip.AddrPortFrom(to, t.Port))
	o.RTT = time.Since(o.Sent)
	if err != nil {
		a.names.Forget(p, t.Host)
		asked := net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
		return health.Outcome{Sent: o.Sent, Err: fmt.Errorf("ask %s through %s: %w", asked, p.Link, meaning(ctx, p, err))}
	}
	c.Close()
	return o
}

// dial opens a connection from the path's source.
func dial(ctx context.Context, by *net.Dialer, p health.Path, to netip.AddrPort) (*net.TCPConn, error) {
	if to.Addr().IsLinkLocalUnicast() {
		to = netip.AddrPortFrom(to.Addr().WithZone(strconv.Itoa(p.Index)), to.Port())
	}
	return by.DialTCP(ctx, "tcp", netip.AddrPortFrom(p.Source, 0), to)
}

// meaning is what the failure of a connection means.
func meaning(ctx context.Context, p health.Path, err error) error {
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		<-ctx.Done() // the socket's own clock was a moment ahead
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the uplink is in order, but nobody serves this port, or a firewall refuses it", syscall.ECONNREFUSED)
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: whoever answers there hung up", syscall.ECONNRESET)
	}
	return socket.Explain(p, err)
}
