// Package connect probes by TCP and HTTP: does a service answer through this uplink? Its sockets are bound to the uplink's
// interface as well as marked, so they do not receive a reply that arrives on another interface.
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

// Prober is a health.Prober for TCP and HTTP targets. It is safe for concurrent use.
type Prober struct {
	resolver *resolve.Resolver
	sessions *sessionCache
}

// New returns a prober that resolves its targets with the resolver.
func New(resolver *resolve.Resolver) *Prober { return &Prober{resolver, newSessionCache()} }

// Probe opens one connection through the path. It resets a connection to a TCP target before the handshake is complete, and
// requests the URL of an HTTP target. The round-trip time ends with the reply to the SYN, or with the response's header.
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
		return health.Outcome{Sent: o.Sent, Err: fmt.Errorf("connect to %s through %s: %w", target, p.Link, explain(ctx, p, err))}
	}
	conn.Close()
	return o
}

// dial opens a connection from the path's source address.
func dial(ctx context.Context, dialer *net.Dialer, p health.Path, to netip.AddrPort) (*net.TCPConn, error) {
	if to.Addr().IsLinkLocalUnicast() {
		to = netip.AddrPortFrom(to.Addr().WithZone(strconv.Itoa(p.Index)), to.Port())
	}
	return dialer.DialTCP(ctx, "tcp", netip.AddrPortFrom(p.Source, 0), to)
}

// explain translates the error of a connection for the operator. It returns the context's cause when the context is done.
func explain(ctx context.Context, p health.Path, err error) error {
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		<-ctx.Done() // the socket's deadline passed a moment before the context's
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the uplink works, but the port is closed, or a firewall rejects the connection", syscall.ECONNREFUSED)
	case errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: the server closed the connection", syscall.ECONNRESET)
	}
	return socket.Explain(p, err)
}
