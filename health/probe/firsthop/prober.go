package firsthop

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"replypath/health"
	"replypath/health/probe/socket"
	"replypath/uplinks"
)

// Prober is a health.Prober for the gateways of paths. It uses the path's interface only: its requests are frames of its own,
// which depend on no neighbour entry. Therefore it also compares the gateway's address with the kernel's neighbour table, by
// which all other packets leave. It is safe for concurrent use.
type Prober struct {
	// Timers makes the timers of requests without a reply.
	Timers health.Timers

	arp    shared[*arpProber]
	ndp    shared[*ndpProber]
	kernel *kernelView // nil: it is not compared
}

// New returns a prober. Sockets are opened with the first probe, in the network namespace of the calling thread. table is the
// kernel's neighbour table there; nil: it is not compared.
func New(table Table) *Prober {
	a := &Prober{}
	a.arp.open = func() (*arpProber, error) { return openARP(a.Timers) }
	a.ndp.open = func() (*ndpProber, error) { return openNDP(a.Timers) }
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
	r := a.ask(ctx, &p)
	if r.err == nil && a.kernel != nil {
		r.err = a.kernel.check(p, r.mac)
	}
	return r.outcome().Outcome
}

// Send asks for the hardware addresses of the paths' gateways. Those that reply at a time are reported together.
func (a *Prober) Send(probes []health.BatchedProbe, report func([]health.BatchedOutcome)) {
	a.refresh()
	a.arp.expire()
	a.ndp.expire()
	if a.kernel != nil {
		defer a.kernel.gather()()
	}
	compared := &batch{end: func(e *endings) { report(e.results()) }}
	answered := &batch{end: func(e *endings) {
		e.explain()
		if a.kernel != nil {
			e.all = a.kernel.compareDue(e.all, compared)
		}
		if len(e.all) > 0 {
			report(e.results())
		}
	}}
	all := make([]request, 0, len(probes))
	var ended endings
	for _, f := range uplinks.Families {
		first := len(all)
		for n, p := range probes {
			if isIPv4 := p.Path.Gateway.Is4(); isIPv4 != (f == uplinks.IPv4) {
				continue
			}
			if err := askable(p.Path); err != nil {
				ended.append(compared, failed(n, p.Path, err))
				continue
			}
			all = append(all, request{path: p.Path, timeout: p.Probe.Timeout, batch: answered, n: n})
		}
		a.sendAll(f, all[first:], &ended)
	}
	ended.flush()
}

func (a *Prober) sendAll(f uplinks.Family, all []request, ended *endings) {
	if f == uplinks.IPv4 {
		a.arp.sendAll(all, ended)
	} else {
		a.ndp.sendAll(all, ended)
	}
}

// refresh forgets what may have changed since the last batch.
func (a *Prober) refresh() {
	a.arp.refresh()
	a.ndp.refresh()
}

// ask sends a request to the path's gateway and waits for the reply, until ctx is done.
func (a *Prober) ask(ctx context.Context, p *health.Path) ending { return a.askIgnoring(ctx, p, "") }

// askIgnoring does what ask does, but ignores replies from the hardware address.
func (a *Prober) askIgnoring(ctx context.Context, p *health.Path, mac string) (with ending) {
	if err := askable(p); err != nil {
		return failed(0, p, err)
	}
	done := make(chan struct{})
	one := []request{{path: p, ignored: mac, batch: &batch{end: func(e *endings) {
		e.explain()
		with = e.all[0]
		close(done)
	}}}}
	a.refresh()
	family, abort := uplinks.IPv4, a.arp.abort
	if !p.Gateway.Is4() {
		family, abort = uplinks.IPv6, a.ndp.abort
	}
	var ended endings
	a.sendAll(family, one, &ended)
	ended.flush()
	select {
	case <-done:
	case <-ctx.Done():
		abort(&one[0], context.Cause(ctx))
		<-done
	}
	return with
}

// askable returns why the gateway of the path cannot be asked, for the operator; nil: it can.
func askable(p *health.Path) error {
	switch {
	case p.Index == 0:
		return fmt.Errorf("probe the gateway: the interface %s does not exist", p.Link)
	case !p.Gateway.IsValid() && p.OnLink:
		return fmt.Errorf("probe the gateway: %s is point-to-point and has none: configure a probe with a target", p.Link)
	case !p.Gateway.IsValid():
		return fmt.Errorf("probe the gateway: no %s gateway of %s is known", p.Family, p.Link)
	}
	return nil
}

// explain translates the error of a probe for the operator.
func explain(p *health.Path, err error) error {
	protocol := "neighbour discovery"
	if p.Gateway.Is4() {
		protocol = "ARP"
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
	case errors.Is(err, syscall.ENETUNREACH): // the socket is bound to the interface: no route lookup fails
		err = fmt.Errorf("%s is down, or IPv6 is disabled on it: %w", p.Link, err)
	default:
		err = socket.Explain(*p, err)
	}
	return fmt.Errorf("probe the gateway %s on %s by %s: %w", p.Gateway, p.Link, protocol, err)
}
