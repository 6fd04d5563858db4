package prover

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/firsthop"
	"replypath/health/proof"
	"replypath/health/proof/capture"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

const (
	// resolveTimeout bounds the wait for the gateways that the kernel does not know yet.
	resolveTimeout = 300 * time.Millisecond
	resolvePoll    = 5 * time.Millisecond
	// hearTimeout bounds the wait for the gateways that are asked for their hardware addresses.
	hearTimeout = 300 * time.Millisecond
)

// readOutput reads what the kernel consults behind the routes of replies. It makes the kernel resolve the gateways first, as the
// replies of real requests do, and asks those for their hardware addresses whose entries the kernel itself does not check.
func (r *run) readOutput(ctx context.Context) (*proof.Output, error) {
	links, err := rtnl.Open(0)
	if err != nil {
		return nil, err
	}
	defer links.Close()
	state, err := links.Egress(ctx, r.uplinkIndexes)
	if err != nil {
		return nil, err
	}
	o := &proof.Output{State: state}
	if err := r.resolveGateways(ctx, links, o); err != nil {
		return nil, err
	}
	o.MACs = r.hearGateways(ctx, o)
	return o, nil
}

// resolveGateways makes the kernel resolve the gateways that it does not know, and waits for a moment.
func (r *run) resolveGateways(ctx context.Context, links *rtnl.Handle, o *proof.Output) error {
	if !slices.ContainsFunc(r.paths, func(p health.Path) bool { return isUnresolved(p, o.State) }) {
		return nil
	}
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return err
	}
	defer table.Close()
	for _, p := range r.paths {
		if isUnresolved(p, o.State) {
			_ = table.Resolve(p.Index, p.Gateway.WithZone("")) // an unresolved gateway is in the verdict
		}
	}
	for began := time.Now(); time.Since(began) < resolveTimeout; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(resolvePoll):
		}
		if o.Neighbours, err = links.Neighbours(ctx); err != nil {
			return err
		}
		if !slices.ContainsFunc(r.paths, func(p health.Path) bool { return isUnresolved(p, o.State) }) {
			break
		}
	}
	return nil
}

// isUnresolved reports whether the kernel has no valid entry for the gateway of the path.
func isUnresolved(p health.Path, s egress.State) bool {
	if !p.Gateway.IsValid() || s.Links[p.Index].NoARP {
		return false
	}
	n, found := s.FindNeighbour(p.Index, p.Gateway)
	return !found || !n.State.Valid()
}

// hearGateways returns the hardware addresses from which gateways reply, of those whose entries are permanent, and of links
// without ARP.
func (r *run) hearGateways(ctx context.Context, o *proof.Output) map[proof.LinkAddr]string {
	ctx, cancel := context.WithTimeout(ctx, hearTimeout)
	defer cancel()
	var (
		asked    sync.WaitGroup
		mu       sync.Mutex
		gateways *firsthop.Prober
	)
	all := map[proof.LinkAddr]string{}
	for _, p := range r.paths {
		n, found := o.FindNeighbour(p.Index, p.Gateway)
		l := o.Links[p.Index]
		if !p.Gateway.IsValid() || !(found && n.State == egress.Permanent || l.NoARP && l.Ethernet) {
			continue
		}
		if gateways == nil {
			gateways = firsthop.New(nil)
			defer gateways.Close()
		}
		asked.Go(func() {
			if mac, err := gateways.HardwareAddr(ctx, p); err == nil && mac != "" {
				mu.Lock()
				defer mu.Unlock()
				all[proof.LinkAddr{Link: p.Index, Addr: p.Gateway.WithZone("")}] = mac
			}
		})
	}
	asked.Wait()
	return all
}

// setOutput completes the filter with the links and neighbours that packets are sent to at once.
func (r *run) setOutput(f *capture.Filter, o *proof.Output) {
	for _, l := range o.Links {
		if l.Name != "lo" {
			f.Devices = append(f.Devices, l.Name)
		}
	}
	slices.SortFunc(f.Devices, strings.Compare)
	for _, p := range r.paths {
		f.Mask = uint32(p.Mask)
		if o.Links[p.Index].NoARP {
			f.Direct = append(f.Direct, p.Index)
			continue
		}
		if !p.Gateway.IsValid() || isUnresolved(p, o.State) {
			continue
		}
		if p.Family == uplinks.IPv4 && p.Gateway.Is6() {
			// nftables knows no next hop of another family, and reports the peer instead.
			f.NextHops = append(f.NextHops, capture.NextHop{Link: p.Index, Addr: r.peers[p.Key]})
			continue
		}
		f.NextHops = append(f.NextHops, capture.NextHop{Link: p.Index, Addr: p.Gateway.WithZone("")})
	}
	slices.Sort(f.Direct)
	f.Direct = slices.Compact(f.Direct)
}
