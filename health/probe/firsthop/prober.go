// Package firsthop asks an uplink's own gateway: is it there, on the wire? By ARP or by IPv6 neighbour discovery,
// whichever the gateway's address is of. No route, no firewall of the gateway's and no rate limit on its answers is in
// between, and nothing behind the gateway is seen.
package firsthop

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"replypath/health"
	"replypath/health/probe/socket"
)

// Prober is a health.Asker for the gateways of paths. Questions and answers pass the path's link alone. It does not
// touch the kernel's table of neighbours.
type Prober struct {
	arp *socketPool[*packetSocket]
	ndp *socketPool[*ndpSocket]
}

// New is an asker that has no sockets yet. They are those of the network namespace of whoever asks.
func New() *Prober {
	return &Prober{arp: newSocketPool(openARPSocket), ndp: newSocketPool(openNDPSocket)}
}

// Close closes the sockets. No question may be under way, and none may follow.
func (a *Prober) Close() {
	a.arp.close()
	a.ndp.close()
}

// Probe asks who has the path's gateway's address.
func (a *Prober) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.WithTimeout(ctx, q.Timeout)
	defer cancel()
	o := health.Outcome{Sent: time.Now()}
	switch {
	case p.Index == 0:
		o.Err = fmt.Errorf("ask the gateway: there is no link %s", p.Link)
	case !p.Gateway.IsValid() && p.OnLink:
		o.Err = fmt.Errorf("ask the gateway: %s is point to point and has none: give it a probe with a target", p.Link)
	case !p.Gateway.IsValid():
		o.Err = fmt.Errorf("ask the gateway: none is known in %s for %s", p.Family, p.Link)
	case p.Gateway.Is4():
		o.Sent, o.RTT, o.Err = a.arp.probe(ctx, p)
		o.Err = explain(ctx, p, "ARP", o.Err)
	default:
		o.Sent, o.RTT, o.Err = a.ndp.probe(ctx, p)
		o.Err = explain(ctx, p, "neighbour discovery", o.Err)
	}
	if o.Err != nil {
		o.RTT = 0
	}
	return o
}

// explain says why nobody answered, if nobody did.
func explain(ctx context.Context, p health.Path, protocol string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, syscall.ENETUNREACH): // the socket is bound to the link: no table has a say
		err = fmt.Errorf("%s is down, or IPv6 is switched off on it: %w", p.Link, err)
	default:
		err = socket.Explain(p, err)
	}
	return fmt.Errorf("ask the gateway %s on %s by %s: %w", p.Gateway, p.Link, protocol, err)
}
