package prover

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rtnl"
)

// The bounds of findInsideHosts.
const (
	maxInsideHosts       = 2      // of each family that are asked at their own addresses
	maxInsideConnections = 10_000 // that are read
)

// findInsideHosts chooses hosts inside that clients may reach at their own addresses, without DNAT: neighbours with public addresses on
// links that are no uplinks and have no default route, that send packets to the Internet by this host now. The replies of others would
// leave by another router, where nothing stops them; so no host is asked by a node of a pair, whose peer may be in charge at the same
// time, and has connections that both of them list. No other host is asked, and none that the kernel does not know. An error is that of
// reading the connections.
func (r *run) findInsideHosts(ctx context.Context) error {
	r.host.Inside = map[uplinks.Family][]netip.Addr{}
	if slices.ContainsFunc(r.allPaths, func(p health.Path) bool { return p.VIP != "" }) {
		return nil
	}
	inside := map[netip.Addr]bool{}
	outside := r.outsideLinks()
	for _, n := range r.output.Neighbours {
		if !outside[n.Link] && n.State.Valid() && n.State != egress.NoARP && isPublic(n.Addr) && !r.ownAddrs[n.Addr] && !r.cache.isQuiet(n.Addr) {
			inside[n.Addr] = true
		}
	}
	if len(inside) == 0 {
		return nil // the kernel walks its whole table for the connections
	}
	connections, err := rtnl.ConnectionsWithMark(ctx, rtnl.MarkFilter{}, maxInsideConnections)
	if err != nil {
		return err
	}
	forwarded := map[netip.Addr]bool{}
	for _, c := range connections {
		client, server := c.Original.From.Addr(), c.Reply.From.Addr() // the server after DNAT
		if c.SeenReply && inside[client] && r.isOutside(c.Original.To.Addr(), outside) {
			forwarded[client] = true
		}
		if c.SeenReply && inside[server] && r.isOutside(client, outside) {
			forwarded[server] = true
		}
	}
	for a := range forwarded {
		f := uplinks.FamilyOf(a)
		r.host.Inside[f] = append(r.host.Inside[f], a)
	}
	for f, all := range r.host.Inside {
		slices.SortFunc(all, netip.Addr.Compare)
		r.host.Inside[f] = all[:min(maxInsideHosts, len(all))]
	}
	return nil
}

// outsideLinks returns the indexes of the uplinks' links, of those below and above them, and of the links with a default route.
func (r *run) outsideLinks() map[int]bool {
	outside := map[int]bool{}
	for _, p := range r.allPaths {
		for _, l := range r.output.Below(p.Index) {
			outside[l.Index] = true
		}
		outside[r.output.Links[p.Index].Master] = true
	}
	for _, g := range r.host.Facts.GatewayRoutes {
		if g.Dst.Bits() <= uplinks.MaxDefaultPrefixLen(uplinks.FamilyOf(g.Dst.Addr())) {
			outside[r.host.Facts.Links[g.Link].Index] = true
		}
	}
	return outside
}

// isOutside reports whether the address is neither of this host nor on a link inside.
func (r *run) isOutside(a netip.Addr, outside map[int]bool) bool {
	if !a.IsGlobalUnicast() || r.ownAddrs[a] {
		return false
	}
	for _, l := range r.host.Facts.Links {
		if !outside[l.Index] && slices.ContainsFunc(l.Connected, func(c uplinks.Connected) bool { return c.Dst.Contains(a) }) {
			return false
		}
	}
	return true
}

// sharedAddresses is the network between customers and translators of providers (RFC 6598).
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

// isPublic reports whether clients on the Internet may know the address.
func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedAddresses.Contains(a)
}

// quietTime is how long a host inside that does not reply is not asked again.
const quietTime = maxRulesAge

// isQuiet reports whether the host has not replied lately. A nil cache knows none.
func (c *RuleCache) isQuiet(a netip.Addr) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, quiet := c.quiet[a]
	return quiet && time.Since(at) < quietTime
}

// keepQuiet remembers the hosts inside that did not reply to any request, also because the firewall lets none pass.
func (c *RuleCache) keepQuiet(t *trace) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.quiet, func(_ netip.Addr, at time.Time) bool { return time.Since(at) >= quietTime })
	traces := t.traces()
	for _, q := range t.requests {
		if q.Kind == proof.Inside && !slices.ContainsFunc(t.requests, func(o proof.Request) bool {
			return o.Kind == proof.Inside && o.To.Addr() == q.To.Addr() && traces.RepliedInside(o)
		}) {
			if c.quiet == nil {
				c.quiet = map[netip.Addr]time.Time{}
			}
			c.quiet[q.To.Addr()] = time.Now()
		}
	}
}
