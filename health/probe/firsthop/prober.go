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

// Prober is a health.Prober for the gateways of paths. It uses the path's interface only: its requests are frames of its own,
// which depend on no neighbour entry. Therefore it also compares the gateway's address with the kernel's neighbour table, by
// which all other packets leave. It is safe for concurrent use.
type Prober struct {
	arp    shared[*arpProber]
	ndp    shared[*ndpProber]
	kernel *kernelView // nil: it is not compared
}

// New returns a prober. Sockets are opened with the first probe, in the network namespace of the calling thread. table is the
// kernel's neighbour table there; nil: it is not compared.
func New(table Table) *Prober {
	a := &Prober{arp: shared[*arpProber]{open: openARP}, ndp: shared[*ndpProber]{open: openNDP}}
	if table != nil {
		a.kernel = newKernelView(table)
	}
	return a
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
	r, err := a.ask(ctx, p)
	if err == nil && a.kernel != nil {
		err = a.kernel.check(p, r.mac)
	}
	return outcome(r, err)
}

// Send asks for the hardware addresses of the paths' gateways.
func (a *Prober) Send(probes []health.BatchedProbe) {
	a.refresh()
	for _, b := range probes {
		a.begin(b.Path, b.Probe.Timeout, func(r reply, err error) {
			if err != nil || a.kernel == nil {
				b.Report(outcome(r, err))
				return
			}
			a.kernel.checkLater(b.Path, r.mac, func(err error) { b.Report(outcome(r, err)) })
		})
	}
}

func outcome(r reply, err error) health.Outcome {
	if err != nil {
		r.took = 0
	}
	return health.Outcome{Sent: r.sent, RTT: r.took, Err: err}
}

// refresh forgets what may have changed since the last batch.
func (a *Prober) refresh() {
	a.arp.refresh()
	a.ndp.refresh()
}

// ask sends a request to the path's gateway and waits for the reply, until ctx is done.
func (a *Prober) ask(ctx context.Context, p health.Path) (r reply, err error) {
	ended := make(chan struct{})
	a.refresh()
	abort := a.begin(&p, 0, func(with reply, failed error) {
		r, err = with, failed
		close(ended)
	})
	select {
	case <-ended:
	case <-ctx.Done():
		abort(context.Cause(ctx))
		<-ended
	}
	return r, err
}

// begin sends a request to the gateway of the path, which must not change. end is called once, with the reply or with an error for
// the operator.
func (a *Prober) begin(p *health.Path, timeout time.Duration, end func(reply, error)) (abort func(error)) {
	var err error
	switch {
	case p.Index == 0:
		err = fmt.Errorf("probe the gateway: the interface %s does not exist", p.Link)
	case !p.Gateway.IsValid() && p.OnLink:
		err = fmt.Errorf("probe the gateway: %s is point-to-point and has none: configure a probe with a target", p.Link)
	case !p.Gateway.IsValid():
		err = fmt.Errorf("probe the gateway: no %s gateway of %s is known", p.Family, p.Link)
	case p.Gateway.Is4():
		return a.arp.begin(p, timeout, func(r reply, err error) { end(r, explain(p, "ARP", err)) })
	default:
		return a.ndp.begin(p, timeout, func(r reply, err error) { end(r, explain(p, "neighbour discovery", err)) })
	}
	end(reply{sent: time.Now()}, err)
	return func(error) {}
}

// explain translates the error of a probe for the operator.
func explain(p *health.Path, protocol string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
	case errors.Is(err, syscall.ENETUNREACH): // the socket is bound to the interface: no route lookup fails
		err = fmt.Errorf("%s is down, or IPv6 is disabled on it: %w", p.Link, err)
	default:
		err = socket.Explain(*p, err)
	}
	return fmt.Errorf("probe the gateway %s on %s by %s: %w", p.Gateway, p.Link, protocol, err)
}
