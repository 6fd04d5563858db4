package host

import (
	"context"
	"net/netip"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

const (
	resolveTime     = time.Second           // bounds how long ResolveRouters waits
	resolveInterval = 10 * time.Millisecond // between two looks at an entry
)

// ResolveRouters makes the kernel resolve the addresses of the routers by which the uplinks of the settings are distinguished, and
// waits until it has, or for resolveTime: a router that does not answer is learnt later.
func (h *Host) ResolveRouters(ctx context.Context, s uplinks.Settings) error {
	if !s.HasSharedLinks() {
		return nil
	}
	f, _, err := ReadKernel(ctx, h.links)
	if err != nil {
		return err
	}
	table, err := rtnl.OpenNeighbourTable()
	if err != nil {
		return err
	}
	defer table.Close()
	wanted := routerResolver{table, nil}
	for _, r := range s.SharedRouters(f) {
		l := f.Links[r.Link]
		for _, a := range r.Addrs {
			if err := wanted.resolve(l, a); err != nil {
				return err
			}
		}
	}
	return wanted.wait(ctx)
}

// routerResolver resolves addresses of routers.
type routerResolver struct {
	table *rtnl.NeighbourTable
	asked []neighbourKey
}

// resolve asks for the hardware address, unless it is known or the link cannot send.
func (r *routerResolver) resolve(l uplinks.Link, a netip.Addr) error {
	n, _, err := r.table.Neighbour(l.Index, a)
	if _, usable := usableMAC(n); err != nil || usable || !l.Up || !l.Carrier {
		return err
	}
	r.asked = append(r.asked, neighbourKey{l.Index, a})
	return r.table.Resolve(l.Index, a)
}

// wait waits until all addresses that were asked for are known.
func (r *routerResolver) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	for len(r.asked) > 0 {
		n, _, err := r.table.Neighbour(r.asked[0].link, r.asked[0].addr)
		if err != nil {
			return err
		}
		if _, usable := usableMAC(n); usable {
			r.asked = r.asked[1:]
			continue
		}
		select {
		case <-ctx.Done():
			return nil // it is learnt later
		case <-time.After(resolveInterval):
		}
	}
	return nil
}
