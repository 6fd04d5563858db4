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
	"replypath/health/socket"
)

// Asker is a health.Asker for the gateways of paths. Questions and answers pass the path's link alone. It does not
// touch the kernel's table of neighbours.
type Asker struct {
	packets    *pool[*packet]
	solicitors *pool[*solicitor]
}

// New is an asker that has no sockets yet. They are those of the network namespace of whoever asks.
func New() *Asker {
	return &Asker{packets: newPool(openARP), solicitors: newPool(openSolicitor)}
}

// Close closes the sockets. No question may be under way, and none may follow.
func (a *Asker) Close() {
	a.packets.close()
	a.solicitors.close()
}

// Ask asks who has the path's gateway's address.
func (a *Asker) Ask(ctx context.Context, p health.Path, q health.Probe) health.Outcome {
	ctx, cancel := socket.Within(ctx, q.Timeout)
	defer cancel()
	o := health.Outcome{Sent: time.Now()}
	switch {
	case p.Index == 0:
		o.Err = fmt.Errorf("ask the gateway: there is no link %s", p.Link)
	case !p.Gateway.IsValid() && p.Direct:
		o.Err = fmt.Errorf("ask the gateway: %s is point to point and has none: give it a probe with a target", p.Link)
	case !p.Gateway.IsValid():
		o.Err = fmt.Errorf("ask the gateway: none is known in %s for %s", p.Family, p.Link)
	case p.Gateway.Is4():
		o.Sent, o.RTT, o.Err = a.packets.ask(ctx, p)
		o.Err = failure(ctx, p, "ARP", o.Err)
	default:
		o.Sent, o.RTT, o.Err = a.solicitors.ask(ctx, p)
		o.Err = failure(ctx, p, "neighbour discovery", o.Err)
	}
	if o.Err != nil {
		o.RTT = 0
	}
	return o
}

// failure says why nobody answered, if nobody did.
func failure(ctx context.Context, p health.Path, how string, err error) error {
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
	return fmt.Errorf("ask the gateway %s on %s by %s: %w", p.Gateway, p.Link, how, err)
}
