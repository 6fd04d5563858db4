package daemon

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/uplinkstest"
)

// askedRouters is the prober and the neighbour table of a routerPoller: it answers nothing, and reports who is asked.
type askedRouters chan netip.Addr

// Probe implements health.Prober.
func (askedRouters) Probe(context.Context, health.Path, health.Probe) health.Outcome {
	return health.Outcome{}
}

// Send implements health.BatchProber.
func (a askedRouters) Send(probes []health.BatchedProbe, _ func([]health.BatchedOutcome)) {
	for _, p := range probes {
		a <- p.Path.Gateway
	}
}

// Neighbours implements firsthop.Table.
func (askedRouters) Neighbours(of []egress.LinkAddr) []egress.NeighbourLookup {
	return make([]egress.NeighbourLookup, len(of))
}

// Resolve implements firsthop.Table.
func (askedRouters) Resolve(int, netip.Addr) error { return nil }

// RouterRequests implements routerRequests.
func (askedRouters) RouterRequests() (map[health.RouterKey]uint64, error) { return nil, nil }

// When a router has another hardware address, all addresses of routers are asked for it at once: the neighbour entries of the others
// may still have the old one.
func TestRoutersAreAskedWhenAHardwareAddressChanges(t *testing.T) {
	asked := make(askedRouters, 100)
	p := newRouterPoller(asked, asked, asked, discardLog)
	gateway := func(text string) uplinks.Gateway { return uplinks.Gateway{Addr: netip.MustParseAddr(text)} }
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{
		{Name: "dsl", ID: 2, Link: "eth1", Gateway4: gateway("192.0.2.1"), WhenDown: uplinks.Hold},
		{Name: "cable", ID: 3, Link: "eth1", Gateway4: gateway("192.0.2.3"), WhenDown: uplinks.Hold},
	}
	f := uplinkstest.Facts()
	woken := func(mac string) bool {
		f.RouterMACs = map[string][]string{"cable": {mac}}
		p.observe(s, f)
		select {
		case <-p.wake:
			return true
		default:
			return false
		}
	}
	if !woken("02:00:00:00:0c:01") {
		t.Error("new routers do not wake the poller")
	}
	if woken("02:00:00:00:0c:01") {
		t.Error("a round without a change wakes the poller")
	}
	if !woken("02:00:00:00:0c:02") {
		t.Error("another hardware address does not wake the poller")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	seen := map[netip.Addr]bool{}
	for len(seen) < 2 {
		select {
		case a := <-asked:
			seen[a] = true
		case <-time.After(time.Minute):
			t.Fatalf("only %v are asked", seen)
		}
	}
	cancel()
	<-ended
}
