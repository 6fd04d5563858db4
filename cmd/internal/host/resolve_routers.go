package host

import (
	"context"
	"errors"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// resolveTime bounds how long ResolveRouters waits.
const resolveTime = time.Second

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
	s = s.ResolveLinks(f)
	var wanted []egress.LinkAddr
	for _, r := range s.SharedRouters(f) {
		if l := f.Links[r.Link]; l.Up && l.Carrier { // others cannot send
			for _, a := range r.Addrs {
				wanted = append(wanted, egress.LinkAddr{Link: l.Index, Addr: a})
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	_, refused, err := rtnl.ResolveNeighbours(ctx, wanted)
	return errors.Join(refused, err)
}
