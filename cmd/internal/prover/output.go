package prover

import (
	"context"
	"errors"
	"slices"
	"strings"
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
	// hardwareAddrTimeout bounds the wait for the gateways that are asked for their hardware addresses.
	hardwareAddrTimeout = 300 * time.Millisecond
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
	if err := r.resolveGateways(ctx, o); err != nil {
		return nil, err
	}
	o.MACs = r.askGateways(ctx, o)
	return o, nil
}

// resolveGateways makes the kernel resolve the gateways that it does not know, and waits for a moment.
func (r *run) resolveGateways(ctx context.Context, o *proof.Output) error {
	var wanted []egress.LinkAddr
	for _, p := range r.paths {
		if isUnresolved(p, o.State) {
			wanted = append(wanted, firsthop.GatewayAddr(&p))
		}
	}
	entries, refused, err := resolve(ctx, wanted)
	o.UpdateNeighbours(entries) // an unresolved gateway is in the verdict
	o.FullTables = map[uplinks.Family]bool{}
	for _, f := range uplinks.Families {
		o.FullTables[f] = errors.Is(refused, rtnl.NeighbourTableFull{Family: f})
	}
	return err
}

// resolve makes the kernel resolve the addresses, waits for resolveTimeout, and returns their entries. refused says which ones the kernel
// does not even try to resolve: they have no entry, as the verdict says.
func resolve(ctx context.Context, wanted []egress.LinkAddr) (entries []egress.Neighbour, refused, err error) {
	if len(wanted) == 0 {
		return nil, nil, nil
	}
	wait, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	entries, refused, err = rtnl.ResolveNeighbours(wait, wanted)
	return entries, refused, errors.Join(err, ctx.Err())
}

// isUnresolved reports whether the kernel has no valid entry for the gateway of the path.
func isUnresolved(p health.Path, s egress.State) bool {
	if !p.Gateway.IsValid() || s.Links[p.Index].NoARP {
		return false
	}
	n, found := s.FindNeighbour(p.Index, p.Gateway)
	return !found || !n.State.Valid()
}

// askGateways returns the hardware addresses from which gateways reply, of those whose entries are permanent, and of links
// without ARP.
func (r *run) askGateways(ctx context.Context, o *proof.Output) map[egress.LinkAddr]string {
	var unchecked []health.Path
	for _, p := range r.paths {
		n, found := o.FindNeighbour(p.Index, p.Gateway)
		l := o.Links[p.Index]
		if p.Gateway.IsValid() && (found && n.State == egress.Permanent || l.NoARP && l.Ethernet) {
			unchecked = append(unchecked, p)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hardwareAddrTimeout)
	defer cancel()
	return firsthop.HardwareAddrs(ctx, unchecked)
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
