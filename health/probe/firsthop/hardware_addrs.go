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
	return startAsking(ctx, paths, nil)()
}

// OtherHardwareAddrs asks gateways whose hardware addresses are known, and returns a function that waits until ctx is done, at the
// latest, and returns those from which others reply: two hosts have the address of the gateway then.
func OtherHardwareAddrs(ctx context.Context, paths []health.Path, known map[egress.LinkAddr]string) (wait func() map[egress.LinkAddr]string) {
	var all []health.Path
	for _, p := range paths {
		if known[GatewayAddr(&p)] != "" {
			all = append(all, p)
		}
	}
	return startAsking(ctx, all, known)
}

// startAsking asks the gateways for their hardware addresses, and returns a function that waits for the replies, without those from the
// known ones. The sockets are opened in the network namespace of the calling thread.
func startAsking(ctx context.Context, paths []health.Path, known map[egress.LinkAddr]string) (wait func() map[egress.LinkAddr]string) {
	all := map[egress.LinkAddr]string{}
	if len(paths) == 0 {
		return func() map[egress.LinkAddr]string { return all }
	}
	gateways := New(nil)
	gateways.open(paths)
	var (
		mu    sync.Mutex
		asked sync.WaitGroup
	)
	for _, p := range paths {
		asked.Go(func() {
			at := GatewayAddr(&p)
			if r := gateways.askIgnoring(ctx, &p, known[at]); r.err == nil && r.mac != "" {
				mu.Lock()
				defer mu.Unlock()
				all[at] = r.mac
			}
		})
	}
	return func() map[egress.LinkAddr]string {
		defer gateways.Close()
		asked.Wait()
		return all
	}
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
