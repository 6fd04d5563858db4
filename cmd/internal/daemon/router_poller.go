package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/firsthop"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

const (
	routerInterval = time.Second            // between two questions to a router
	routerTimeout  = 900 * time.Millisecond // for its answer
)

// routerPoller asks the routers by which uplinks on one link are distinguished for their hardware addresses: their answers keep the
// neighbour table up to date, from which the addresses are learnt. Safe for concurrent use.
type routerPoller struct {
	prober   health.BatchProber // of gateways
	table    firsthop.Table
	requests routerRequests
	log      *slog.Logger

	mu       sync.Mutex
	routers  []health.Path       // each with one address of a router as its gateway
	macs     map[string][]string // of the routers of each uplink; replaced, never changed
	activity routerActivity
	wake     chan struct{}
}

func newRouterPoller(prober health.BatchProber, table firsthop.Table, requests routerRequests, log *slog.Logger) *routerPoller {
	return &routerPoller{prober: prober, table: table, requests: requests, log: log, wake: make(chan struct{}, 1)}
}

// observe sets the routers, after a round.
func (p *routerPoller) observe(s uplinks.Settings, f uplinks.Facts) {
	var all []health.Path
	if s.HasSharedLinks() {
		all = routerPaths(s, f)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.macs
	p.macs = s.RoutersOf(f)
	p.activity.observe(s, p.macs)
	// A new hardware address is asked for at once by the router's other addresses: their entries may still have the old one.
	changed := !slices.Equal(all, p.routers) || !maps.EqualFunc(before, p.macs, slices.Equal)
	if p.routers = all; changed {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// MACs returns the hardware addresses by which each uplink that shares its link is distinguished. The caller must not change them.
func (p *routerPoller) MACs() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.macs
}

// routerPaths returns a path to each router that can be reached now.
func routerPaths(s uplinks.Settings, f uplinks.Facts) (all []health.Path) {
	paths := health.Paths(s, f)
	for _, r := range s.SharedRouters(f) {
		for _, a := range r.Addrs {
			i := slices.IndexFunc(paths, func(p health.Path) bool { return p.Key == health.Key{Uplink: r.Uplink, Family: uplinks.FamilyOf(a)} })
			if i >= 0 && paths[i].Index != 0 && paths[i].Up && paths[i].Carrier {
				p := paths[i]
				p.Gateway = a
				all = append(all, p)
			}
		}
	}
	return all
}

// Run asks until the context ends, and waits while there are no routers.
func (p *routerPoller) Run(ctx context.Context) error {
	for {
		p.mu.Lock()
		routers := p.routers
		p.mu.Unlock()
		if len(routers) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-p.wake:
			}
			continue
		}
		p.ask(ctx, routers)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
		case <-time.After(health.UntilTick(time.Now(), routerInterval)):
		}
	}
}

// ask asks all routers at once. The kernel takes their answers for entries that it has, and makes others itself.
func (p *routerPoller) ask(ctx context.Context, routers []health.Path) {
	probe := &health.Probe{Timeout: routerTimeout}
	batch, keys := make([]health.BatchedProbe, len(routers)), make([]health.RouterKey, len(routers))
	for i, n := range p.table.Neighbours(routerAddrs(routers)) {
		path, err := &routers[i], n.Err
		switch {
		case err != nil:
		case n.Found && n.State.Valid():
			keys[i] = health.RouterKey{ID: path.ID, MAC: egress.MACText(n.MAC)}
		default:
			err = p.table.Resolve(path.Index, path.Gateway)
		}
		if err != nil {
			p.log.Debug("cannot resolve a router", "uplink", path.Uplink, "router", path.Gateway, "err", err)
		}
		batch[i] = health.BatchedProbe{Path: path, Probe: probe}
	}
	p.recordRequests(routers, keys)
	if ctx.Err() == nil {
		// A router that does not answer is a matter of the probes of its uplink.
		p.prober.Send(batch, func(all []health.BatchedOutcome) { p.recordAnswers(keys, all) })
	}
}

func routerAddrs(routers []health.Path) []egress.LinkAddr {
	all := make([]egress.LinkAddr, len(routers))
	for i := range routers {
		all[i] = firsthop.GatewayAddr(&routers[i])
	}
	return all
}
