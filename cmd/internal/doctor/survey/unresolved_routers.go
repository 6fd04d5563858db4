package survey

import (
	"slices"

	"replypath/cmd/internal/host"
	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
)

// readUnresolvedRouters reads which uplinks on shared links have no router whose hardware address is known: none is written, none is
// saved, and no neighbour entry has one.
func (c *collector) readUnresolvedRouters() error {
	routers := c.Settings.SharedRouters(c.result.Facts)
	if len(routers) == 0 {
		return nil
	}
	d, err := statedir.Open(c.StateDir)
	if err != nil {
		return err
	}
	for _, r := range routers {
		isNamed := slices.ContainsFunc(c.Settings.Uplinks, func(u uplinks.Uplink) bool { return u.Name == r.Uplink && len(u.MACs) > 0 })
		if len(r.Addrs) > 0 && !isNamed && !c.isResolved(r) && !host.HasSavedRouter(d, r.Uplink) {
			c.result.Unresolved = append(c.result.Unresolved, r.Uplink)
		}
	}
	return nil
}

// isResolved reports whether the neighbour table has the hardware address of one of the routers.
func (c *collector) isResolved(r uplinks.RouterAddrs) bool {
	for _, a := range r.Addrs {
		if n, found := c.result.Egress.FindNeighbour(c.result.Facts.Links[r.Link].Index, a); found && n.State.Valid() {
			return true
		}
	}
	return false
}
