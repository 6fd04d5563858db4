package rtnl

import (
	"slices"

	"replypath/uplinks"
)

// routeFilter is what is kept of a list of routes. Somebody else's full routing table may be in main, and of its million routes
// hardly one is ever named: beside the first many, those that lead to addresses for documentation, from which a proof
// asks, and the first by each link are kept, and the others counted.
type routeFilter struct {
	family        uplinks.Family
	routes        []rawRoute
	gatewayRoutes int          // of main's routes through a gateway
	keptLinks     map[int]bool // links, by their numbers, by which there is one of them
	omitted       map[int]int  // how many more of them there are by a link
}

// maxGatewayRoutes are kept of main's routes through a gateway.
const maxGatewayRoutes = 4096

func newRouteFilter(f uplinks.Family) routeFilter {
	return routeFilter{family: f, keptLinks: map[int]bool{}, omitted: map[int]int{}}
}

func (f *routeFilter) add(r *rawRoute) {
	if !f.omittable(r) || f.keep(r) {
		f.routes = append(f.routes, *r)
		return
	}
	for h := range r.hops() {
		f.omitted[h.link]++
	}
}

// omittable reports whether the route is one of main's through a gateway, as are nearly all that tell only the number of a
// nexthop object.
func (f *routeFilter) omittable(r *rawRoute) bool {
	return r.protocol != uplinks.Protocol && r.table == uplinks.MainTable && !r.isDefault() && (r.hasGateway() || r.hasOnlyNexthopID())
}

// keep reports whether an ordinary route may be named some time.
func (f *routeFilter) keep(r *rawRoute) bool {
	f.gatewayRoutes++
	firstOnLink := false
	for h := range r.hops() {
		firstOnLink = firstOnLink || !f.keptLinks[h.link]
		f.keptLinks[h.link] = true
	}
	return firstOnLink || f.gatewayRoutes <= maxGatewayRoutes || slices.ContainsFunc(uplinks.DocumentationPrefixes(f.family), r.dst.Overlaps)
}
