package survey

import (
	"context"
	"time"

	"replypath/health"
	"replypath/health/probe/firsthop"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// gatewayTimeout bounds the wait for the reply of a gateway. All are asked at once.
const gatewayTimeout = 500 * time.Millisecond

// readEgress reads what takes packets after their route, of the links of uplinks.
func (c *collector) readEgress(ctx context.Context, links *rtnl.Handle) (err error) {
	var indexes []int
	for _, u := range c.Settings.Uplinks {
		if l, there := c.result.Facts.Links[u.Link]; there {
			indexes = append(indexes, l.Index)
		}
	}
	if c.result.Egress, err = links.Egress(ctx, indexes); err != nil || !c.Privileged {
		return err
	}
	c.result.GatewayMACs = c.readGatewayMACs(ctx)
	return nil
}

// readGatewayMACs asks the gateways that have neighbour entries for their hardware addresses.
func (c *collector) readGatewayMACs(ctx context.Context) map[egress.LinkAddr]string {
	var known []health.Path
	for _, p := range health.Paths(c.Settings, c.result.Facts) {
		if n, found := c.result.Egress.FindNeighbour(p.Index, p.Gateway); found && n.State&(egress.Incomplete|egress.NoARP) == 0 {
			known = append(known, p)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, gatewayTimeout)
	defer cancel()
	return firsthop.HardwareAddrs(ctx, known)
}
