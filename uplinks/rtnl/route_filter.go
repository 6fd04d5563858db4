package rtnl

import (
	"slices"

	"replypath/uplinks"
)

// routeFilter selects the routes of a dump that are kept in memory. main may hold a full routing table of a routing daemon,
// of whose million routes hardly one is ever reported. Of the routes of main through a gateway it keeps the first
// maxGatewayRoutes, those to documentation prefixes, from which proofs send, and the first by each link. It counts the
// others.
type routeFilter struct {
	family        uplinks.Family
	routes        []rawRoute
	gatewayRoutes int          // routes of main through a gateway, so far
	keptLinks     map[int]bool // indexes of links with a kept route
	omitted       map[int]int  // by link index: how many routes are not kept
}

// maxGatewayRoutes is the number of routes of main through a gateway that are kept.
const maxGatewayRoutes = 4096

func newRouteFilter(f uplinks.Family) routeFilter {
	return routeFilter{family: f, keptLinks: map[int]bool{}, omitted: map[int]int{}}
}

// add keeps the route, or counts it.
func (f *routeFilter) add(r *rawRoute) {
	if !f.omittable(r) || f.keep(r) {
		f.routes = append(f.routes, *r)
		return
	}
	for h := range r.hops() {
		f.omitted[h.link]++
	}
}

// omittable reports whether the route is one of main through a gateway. Nearly all routes with only the ID of a nexthop
// object are.
func (f *routeFilter) omittable(r *rawRoute) bool {
	return r.protocol != uplinks.Protocol && r.table == uplinks.MainTable && !r.isDefault() && (r.hasGateway() || r.hasOnlyNexthopID())
}

// keep reports whether an omittable route is kept.
func (f *routeFilter) keep(r *rawRoute) bool {
	f.gatewayRoutes++
	firstOnLink := false
	for h := range r.hops() {
		firstOnLink = firstOnLink || !f.keptLinks[h.link]
		f.keptLinks[h.link] = true
	}
	return firstOnLink || f.gatewayRoutes <= maxGatewayRoutes || slices.ContainsFunc(uplinks.DocumentationPrefixes(f.family), r.dst.Overlaps)
}
