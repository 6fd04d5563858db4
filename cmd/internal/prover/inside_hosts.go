package prover

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// maxInsideHosts bounds the hosts inside of each family that are asked at their own addresses.
const maxInsideHosts = 2

// findInsideHosts chooses hosts inside that clients may reach at their own addresses, without DNAT: neighbours with public addresses on
// links that are no uplinks and have no default route. No other host is asked, and none that the kernel does not know.
func (r *run) findInsideHosts() {
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
	r.host.Inside = map[uplinks.Family][]netip.Addr{}
	for _, n := range r.output.Neighbours {
		if !outside[n.Link] && n.State.Valid() && n.State != egress.NoARP && isPublic(n.Addr) && !r.ownAddrs[n.Addr] && !r.cache.isQuiet(n.Addr) {
			f := uplinks.FamilyOf(n.Addr)
			r.host.Inside[f] = append(r.host.Inside[f], n.Addr)
		}
	}
	for f, all := range r.host.Inside {
		slices.SortFunc(all, netip.Addr.Compare)
		all = slices.Compact(all)
		r.host.Inside[f] = all[:min(maxInsideHosts, len(all))]
	}
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
func (c *RuleCache) keepQuiet(t trace) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.quiet, func(_ netip.Addr, at time.Time) bool { return time.Since(at) >= quietTime })
	traces := t.observations.Traces()
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
