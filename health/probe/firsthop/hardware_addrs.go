package firsthop

import (
	"context"
	"sync"

	"replypath/health"
	"replypath/uplinks/egress"
)

// HardwareAddrs asks the gateways of the paths for their hardware addresses, all at once, in the network namespace of the calling
// thread. It returns the raw addresses of those that reply before ctx is done.
func HardwareAddrs(ctx context.Context, paths []health.Path) map[egress.LinkAddr]string {
	all := map[egress.LinkAddr]string{}
	if len(paths) == 0 {
		return all
	}
	gateways := New(nil)
	defer gateways.Close()
	gateways.open(paths)
	var (
		mu    sync.Mutex
		asked sync.WaitGroup
	)
	for _, p := range paths {
		asked.Go(func() {
			if r := gateways.ask(ctx, &p); r.err == nil && r.mac != "" {
				mu.Lock()
				defer mu.Unlock()
				all[GatewayAddr(&p)] = r.mac
			}
		})
	}
	asked.Wait()
	return all
}

// open opens the sockets that probes of the paths need, in the network namespace of the calling thread. Probes report what fails.
func (a *Prober) open(paths []health.Path) {
	for _, p := range paths {
		if p.Gateway.Is4() {
			_, _ = a.arp.get()
		} else if n, err := a.ndp.get(); err == nil {
			_, _ = n.sources.get(&p)
		}
	}
}

// GatewayAddr returns where the gateway of the path is.
func GatewayAddr(p *health.Path) egress.LinkAddr {
	return egress.LinkAddr{Link: p.Index, Addr: p.Gateway.WithZone("")}
}
