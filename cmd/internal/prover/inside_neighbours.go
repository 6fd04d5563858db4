package prover

import (
	"context"
	"net/netip"

	"replypath/health"
	"replypath/health/probe/firsthop"
	"replypath/health/proof"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// askInside asks the hosts inside that did not reply, and whose neighbour entries are permanent, for their hardware addresses: the
// kernel does not check such an entry.
func (r *run) askInside(ctx context.Context, t *trace) error {
	silent := t.traces().SilentInside(t.requests)
	if len(silent) == 0 {
		return nil
	}
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return err
	}
	defer table.Close()
	var hosts []netip.Addr
	var hops []egress.LinkAddr
	r.output.InsideLinks = map[netip.Addr]int{}
	for host, p := range silent {
		hop, d := r.nextHop(p, host)
		r.output.InsideLinks[host] = hop.Link
		if d.Err == nil && !d.Local {
			hosts, hops = append(hosts, host), append(hops, hop)
		}
	}
	entries := map[netip.Addr]egress.Neighbour{}
	var unchecked []health.Path
	for i, n := range table.Neighbours(hops) {
		if host := hosts[i]; n.Err == nil && n.Found && n.State == egress.Permanent {
			entries[host], unchecked = n.Neighbour, append(unchecked, r.insidePath(hops[i], silent[host]))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hardwareAddrTimeout)
	defer cancel()
	heard := firsthop.HardwareAddrs(ctx, unchecked)
	r.output.Inside = map[netip.Addr]proof.InsideNeighbour{}
	for host, n := range entries {
		if mac := heard[n.Where()]; mac != "" {
			r.output.Inside[host] = proof.InsideNeighbour{Entry: n, MAC: mac}
		}
	}
	return nil
}

// insidePath returns the next hop of a host inside as if it were a gateway.
func (r *run) insidePath(hop egress.LinkAddr, p health.Path) health.Path {
	inside := health.Path{Key: p.Key, Index: hop.Link, Gateway: hop.Addr}
	inside.Link, _ = r.host.Facts.LinkName(hop.Link)
	for _, a := range r.host.Facts.Links[inside.Link].Addrs {
		if a.Prefix.Contains(hop.Addr) {
			inside.Source = a.Prefix.Addr()
		}
	}
	return inside
}
