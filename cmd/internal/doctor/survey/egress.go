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

// otherTimeout bounds the wait for the reply of another host in its place. Linux answers for others (proxy ARP, proxy NDP) after up to
// 0.8 seconds (net.ipv4.neigh.default.proxy_delay).
const otherTimeout = time.Second

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
	c.readGatewayMACs(ctx)
	return nil
}

// readGatewayMACs asks the gateways that have neighbour entries for their hardware addresses, and once more, for others.
func (c *collector) readGatewayMACs(ctx context.Context) {
	var known []health.Path
	for _, p := range health.Paths(c.Settings, c.result.Facts) {
		if n, found := c.result.Egress.FindNeighbour(p.Index, p.Gateway); found && n.State&(egress.Incomplete|egress.NoARP) == 0 {
			known = append(known, p)
		}
	}
	first, cancel := context.WithTimeout(ctx, gatewayTimeout)
	defer cancel()
	c.result.GatewayMACs = firsthop.HardwareAddrs(first, known)
	second, end := context.WithTimeout(ctx, otherTimeout)
	wait := firsthop.OtherHardwareAddrs(second, known, c.result.GatewayMACs)
	c.atEnd = append(c.atEnd, func() {
		c.result.OtherGatewayMACs = wait()
		end()
	})
}
