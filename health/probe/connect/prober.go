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
	"replypath/health/probe/resolve"
	"replypath/health/probe/socket"
)

// Prober is a health.Asker for TCP and HTTP targets.
type Prober struct {
	resolver *resolve.Resolver
	sessions *sessionCache
}

// New is an asker that finds its targets' addresses by these names.
func New(resolver *resolve.Resolver) *Prober { return &Prober{resolver, newSessionCache()} }

// Probe opens one connection through the path and hangs up before it is complete, or gets the page where the target is HTTP. The
// time it took is that until it was answered, or until the page's header was there.
func (a *Prober) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.WithTimeout(ctx, q.Timeout)
	defer cancel()
	if q.Target.Kind == health.HTTP {
		return a.probeHTTP(ctx, p, q.Target)
	}
	return a.probeTCP(ctx, p, q.Target)
}

func (a *Prober) probeTCP(ctx context.Context, p health.Path, t health.Target) health.Outcome {
	o := health.Outcome{Sent: time.Now()}
	var addr netip.Addr
	if addr, o.Err = a.resolver.Lookup(ctx, p, t.Host); o.Err != nil {
		return o
	}
	o.Sent = time.Now()
	conn, err := dial(ctx, socket.ResetDialer(p), p, netip.AddrPortFrom(addr, t.Port))
	o.RTT = time.Since(o.Sent)
	if err != nil {
		a.resolver.Invalidate(p, t.Host)
		target := net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
		return health.Outcome{Sent: o.Sent, Err: fmt.Errorf("ask %s through %s: %w", target, p.Link, explain(ctx, p, err))}
	}
	conn.Close()
	return o
}

// dial opens a connection from the path's source.
func dial(ctx context.Context, dialer *net.Dialer, p health.Path, to netip.AddrPort) (*net.TCPConn, error) {
	if to.Addr().IsLinkLocalUnicast() {
		to = netip.AddrPortFrom(to.Addr().WithZone(strconv.Itoa(p.Index)), to.Port())
	}
	return dialer.DialTCP(ctx, "tcp", netip.AddrPortFrom(p.Source, 0), to)
}

// explain is what the failure of a connection means.
func explain(ctx context.Context, p health.Path, err error) error {
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
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
