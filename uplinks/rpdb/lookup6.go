package rpdb

import (
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// selector6 has the criteria by which an IPv6 look-up selects among the routes to one destination.
type selector6 struct {
	preferred string // the link to which the socket is bound, or by which the packet came in
	strict    bool   // no other link is acceptable
	reachable bool   // only gateways that answer neighbour discovery
}

// findRoute6 selects a route as fib6_table_lookup does: a host that is no router first looks for reachable gateways, even of
// a less specific route.
func (d *Database) findRoute6(t uplinks.Table, p Packet) *Route {
	s := selector6{preferred: p.Out, strict: needsStrict(p.To) || p.Out != "" && !p.From.IsValid(), reachable: !d.Forwarding}
	if p.In != "" {
		s.preferred, s.strict = p.In, needsStrict(p.To)
	}
	if s.strict && s.preferred == "" {
		s.strict = false
	}
	routes := d.candidates6(t, p)
	if r := firstSelected(routes, s); r != nil || !s.reachable {
		return r
	}
	s.reachable = false
	return firstSelected(routes, s)
}

// candidates6 returns the matching routes without those to a destination that has source-specific routes, none of which
// matches the packet. The kernel skips such a destination, including its routes for all sources, as long as it has found no
// other (fib6_node_lookup_1); the default route it considers in the end.
func (d *Database) candidates6(t uplinks.Table, p Packet) []*Route {
	routes := d.matchingRoutes(t, p)
	for len(routes) > 0 && routes[0].Dst.Bits() > 0 && !routes[0].From.IsValid() && slices.ContainsFunc(d.Tables[t], func(r Route) bool {
		return r.Dst == routes[0].Dst && r.From.IsValid()
	}) {
		routes = routes[1:]
	}
	return routes
}

// needsStrict reports whether the address needs the right link (rt6_need_strict).
func needsStrict(a netip.Addr) bool {
	return a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback()
}

// firstSelected returns the first selected route, destination by destination.
func firstSelected(routes []*Route, s selector6) *Route {
	for len(routes) > 0 {
		n := 1
		for n < len(routes) && routes[n].Dst == routes[0].Dst && sourceLength(routes[n]) == sourceLength(routes[0]) {
			n++
		}
		if r := s.selectFrom(routes[:n]); r != nil {
			return r
		}
		routes = routes[n:]
	}
	return nil
}

// selectFrom returns the route that find_rr_leaf selects: the best of those with the lowest metric, and only if none of them
// is acceptable the best of all others, regardless of their metrics.
func (s selector6) selectFrom(routes []*Route) *Route {
	n := 1
	for n < len(routes) && routes[n].Metric == routes[0].Metric {
		n++
	}
	if r := s.best(routes[:n]); r != nil {
		return r
	}
	return s.best(routes[n:])
}

// best returns the route with the highest score of a next hop, or nil.
func (s selector6) best(routes []*Route) (best *Route) {
	top := -1
	for _, r := range routes {
		for _, h := range r.Hops {
			if score := s.score(r, h); score > top {
				best, top = r, score
			}
		}
	}
	return best
}

// score returns the value of rt6_score_route; a negative score excludes the next hop.
func (s selector6) score(r *Route, h Hop) int {
	matches := s.preferred == "" || h.Link == s.preferred
	if h.Dead || s.strict && !matches || s.reachable && h.Via.IsValid() && h.Failed {
		return -1
	}
	score := r.Pref.score()
	if matches {
		score += 2
	}
	return score
}
