package rtnl

import (
	"slices"

	"replypath/uplinks"
)

// crop is what is kept of a list of routes. Somebody else's full routing table may be in main, and of its million routes
// hardly one is ever named: beside the first many, those that lead to addresses for documentation, from which a proof
// asks, and the first by each link are kept, and the others counted.
type crop struct {
	family uplinks.Family
	routes []listed
	many   int          // of main's routes through a gateway
	by     map[int]bool // links, by their numbers, by which there is one of them
	left   map[int]int  // how many more of them there are by a link
}

// manyRouted are kept of main's routes through a gateway.
const manyRouted = 4096

func newCrop(f uplinks.Family) crop { return crop{family: f, by: map[int]bool{}, left: map[int]int{}} }

func (c *crop) take(r *listed) {
	if !c.ordinary(r) || c.named(r) {
		c.routes = append(c.routes, *r)
		return
	}
	for h := range r.hops() {
		c.left[h.link]++
	}
}

// ordinary reports whether the route is one of main's through a gateway, as are nearly all that tell only the number of a
// nexthop object.
func (c *crop) ordinary(r *listed) bool {
	return r.protocol != uplinks.Protocol && r.table == uplinks.MainTable && !r.isDefault() && (r.forwards() || r.bare())
}

// named reports whether an ordinary route may be named some time.
func (c *crop) named(r *listed) bool {
	c.many++
	first := false
	for h := range r.hops() {
		first = first || !c.by[h.link]
		c.by[h.link] = true
	}
	return first || c.many <= manyRouted || slices.ContainsFunc(uplinks.Documentation(c.family), r.dst.Overlaps)
}
