package rpdb

import (
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// want is how an IPv6 look-up picks among the routes for one destination.
type want struct {
	link      string // preferred: the link bound to, or by which the packet came in
	only      bool   // no other link will do
	reachable bool   // no gateway that does not answer
}

// find6 is fib6_table_lookup: a host that is no router looks for gateways that answer first, even if they are of a less
// specific route.
func (d *Database) find6(t uplinks.Table, p Packet) *Route {
	w := want{link: p.Out, only: scoped(p.To) || p.Out != "" && !p.From.IsValid(), reachable: !d.Forwarding}
	if p.In != "" {
		w.link, w.only = p.In, scoped(p.To)
	}
	if w.only && w.link == "" {
		w.only = false
	}
	routes := d.reached6(t, p)
	if r := firstOf(routes, w); r != nil || !w.reachable {
		return r
	}
	w.reachable = false
	return firstOf(routes, w)
}

// reached6 leaves out destinations that have routes for certain sources only where none of these is the packet's. The
// kernel passes such a destination over as long as it has found no other, its routes for all sources too
// (fib6_node_lookup_1); default is where it looks in the end.
func (d *Database) reached6(t uplinks.Table, p Packet) []*Route {
	routes := d.specific(t, p)
	for len(routes) > 0 && routes[0].Dst.Bits() > 0 && !routes[0].From.IsValid() && slices.ContainsFunc(d.Tables[t], func(r Route) bool {
		return r.Dst == routes[0].Dst && r.From.IsValid()
	}) {
		routes = routes[1:]
	}
	return routes
}

// scoped is rt6_need_strict.
func scoped(a netip.Addr) bool { return a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback() }

// firstOf goes from destination to destination.
func firstOf(routes []*Route, w want) *Route {
	for len(routes) > 0 {
		n := 1
		for n < len(routes) && routes[n].Dst == routes[0].Dst && bits(routes[n]) == bits(routes[0]) {
			n++
		}
		if r := w.pick(routes[:n]); r != nil {
			return r
		}
		routes = routes[n:]
	}
	return nil
}

// pick is find_rr_leaf: the best of those with the least metric, and only if none of them will do the best of all the
// rest, whatever their metrics.
func (w want) pick(routes []*Route) *Route {
	n := 1
	for n < len(routes) && routes[n].Metric == routes[0].Metric {
		n++
	}
	if r := w.best(routes[:n]); r != nil {
		return r
	}
	return w.best(routes[n:])
}

func (w want) best(routes []*Route) (best *Route) {
	top := -1
	for _, r := range routes {
		for _, h := range r.Hops {
			if score := w.score(r, h); score > top {
				best, top = r, score
			}
		}
	}
	return best
}

// score is rt6_score_route; less than 0 is out of the question.
func (w want) score(r *Route, h Hop) int {
	on := w.link == "" || h.Link == w.link
	if h.Dead || w.only && !on || w.reachable && h.Via.IsValid() && h.Failed {
		return -1
	}
	score := r.Pref.score()
	if on {
		score += 2
	}
	return score
}
