package rpdb

import (
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// selector6 is how an IPv6 look-up picks among the routes for one destination.
type selector6 struct {
	preferred string // preferred: the link bound to, or by which the packet came in
	strict    bool   // no other link will do
	reachable bool   // no gateway that does not answer
}

// findRoute6 is fib6_table_lookup: a host that is no router looks for gateways that answer first, even if they are of a less
// specific route.
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

// candidates6 leaves out destinations that have routes for certain sources only where none of these is the packet's. The
// kernel passes such a destination over as long as it has found no other, its routes for all sources too
// (fib6_node_lookup_1); default is where it looks in the end.
func (d *Database) candidates6(t uplinks.Table, p Packet) []*Route {
	routes := d.matchingRoutes(t, p)
	for len(routes) > 0 && routes[0].Dst.Bits() > 0 && !routes[0].From.IsValid() && slices.ContainsFunc(d.Tables[t], func(r Route) bool {
		return r.Dst == routes[0].Dst && r.From.IsValid()
	}) {
		routes = routes[1:]
	}
	return routes
}

// needsStrict is rt6_need_strict.
func needsStrict(a netip.Addr) bool {
	return a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback()
}

// firstSelected goes from destination to destination.
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

// selectFrom is find_rr_leaf: the best of those with the least metric, and only if none of them will do the best of all the
// rest, whatever their metrics.
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

// score is rt6_score_route; less than 0 is out of the question.
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
