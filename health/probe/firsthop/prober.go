// Package firsthop probes the gateway of an uplink by ARP or IPv6 neighbour discovery. Such a probe depends on no route, on no
// firewall of the gateway and on no ICMP rate limit. It says nothing about the Internet behind the gateway.
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

// Prober is a health.Prober for the gateways of paths. It uses the path's interface only and leaves the kernel's neighbour
// table alone. It is safe for concurrent use.
type Prober struct {
	arp *socketPool[*packetSocket]
	ndp *socketPool[*ndpSocket]
}

// New returns a prober. Sockets are opened with the first probe, in the network namespace of the calling thread.
func New() *Prober {
	return &Prober{arp: newSocketPool(openARPSocket), ndp: newSocketPool(openNDPSocket)}
}

// Close closes the sockets. No probe may be running or follow.
func (a *Prober) Close() {
	a.arp.close()
	a.ndp.close()
}

// Probe asks for the hardware address of the path's gateway.
func (a *Prober) Probe(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.WithTimeout(ctx, q.Timeout)
	defer cancel()
	o := health.Outcome{Sent: time.Now()}
	switch {
	case p.Index == 0:
		o.Err = fmt.Errorf("probe the gateway: the interface %s does not exist", p.Link)
	case !p.Gateway.IsValid() && p.OnLink:
		o.Err = fmt.Errorf("probe the gateway: %s is point-to-point and has none: configure a probe with a target", p.Link)
	case !p.Gateway.IsValid():
		o.Err = fmt.Errorf("probe the gateway: no %s gateway of %s is known", p.Family, p.Link)
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

// explain translates the error of a probe for the operator. It returns the context's cause when the context is done.
func explain(ctx context.Context, p health.Path, protocol string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, syscall.ENETUNREACH): // the socket is bound to the interface: no route lookup fails
		err = fmt.Errorf("%s is down, or IPv6 is disabled on it: %w", p.Link, err)
	default:
		err = socket.Explain(p, err)
	}
	return fmt.Errorf("probe the gateway %s on %s by %s: %w", p.Gateway, p.Link, protocol, err)
}
