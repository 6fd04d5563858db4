package uplinks

import (
	"net/netip"
	"slices"

	"replypath/marks"
)

// The first replies of uplinks that share a link are counted by the router that they leave by, and the connections that each router of an
// uplink with several has begun. That changes no packet, and its table
// is there only where a link is shared.

// RouterCounters returns the table that counts the replies and requests of the uplinks which share their links, those that are
// left out too: of them nothing is counted. ok is false when there are none.
func (s Settings) RouterCounters(f Facts) (c marks.RouterCounters, ok bool) {
	s = s.ResolveLinks(f)
	var all []marks.CountedUplink
	for _, u := range s.Uplinks {
		l, exists := f.LinkOf(u)
		if !exists || !s.hasOtherRouters(f, u) {
			continue
		}
		counted := marks.CountedUplink{ID: u.ID, Link: l.Name}
		for _, family := range f.Families() {
			var gateway netip.Addr
			if hop, known := l.NextHop(u.Gateway(family), family); known && u.Manages(family) {
				gateway = hop.Gateway
			}
			if family == IPv6 {
				counted.Hop6 = gateway
			} else {
				counted.Hop4 = gateway
			}
		}
		all = append(all, counted)
	}
	routers := s.countedRouters(f)
	return marks.NewRouterCounters(s.Mask, all, foundRouters4, foundRouters6).WithRouters(routers), len(all)+len(routers) > 0
}

// HasSeveralRouters reports whether the uplink, which shares its link, has further routers beside its gateways.
func (s Settings) HasSeveralRouters(u Uplink) bool { return len(u.Routers) > 0 && s.SharesLink(u) }

// countedRouters returns the routers of uplinks that have several, as far as their hardware addresses are known. The links of the
// settings are resolved.
func (s Settings) countedRouters(f Facts) (all []marks.CountedRouter) {
	known := s.RoutersOf(f)
	for _, u := range s.Uplinks {
		if l, exists := f.LinkOf(u); exists && s.HasSeveralRouters(u) {
			for _, mac := range known[u.Name] {
				all = append(all, marks.CountedRouter{ID: u.ID, Link: l.Name, MAC: mac})
			}
		}
	}
	return all
}

// hasOtherRouters reports whether packets can leave by another router on the uplink's link: that of another uplink, or one that was
// found.
func (s Settings) hasOtherRouters(f Facts, u Uplink) bool {
	return slices.ContainsFunc(s.Uplinks, func(o Uplink) bool { return o.Link == u.Link && o.Name != u.Name }) ||
		u.AnyRouter && slices.ContainsFunc(f.FoundRouters, func(r FoundRouter) bool { return r.Uplink == u.Name })
}

// addRouterCounters adds the table.
func addRouterCounters(want State, s Settings, f Facts) {
	if f.RouterCountersRefused != "" {
		return
	}
	if c, ok := s.RouterCounters(f); ok {
		want.RouterCounters[c] = true
	}
}

// routerCounterSteps returns the steps for the table. One that differs is replaced.
func routerCounterSteps(want, have State) (set, del Plan) {
	missing, _ := delta(want.RouterCounters, have.RouterCounters, oneKey)
	for _, c := range missing {
		if c != (marks.RouterCounters{}) { // to what was damaged before no change goes back
			set = append(set, SetRouterCounters{Table: c})
		}
	}
	if len(want.RouterCounters) == 0 && len(have.RouterCounters) > 0 {
		del = Plan{DelRouterCounters{}}
	}
	return set, del
}

// SetRouterCounters makes the table, in place of one that exists.
type SetRouterCounters struct {
	chainsStep
	Table marks.RouterCounters
}

// DelRouterCounters deletes the table.
type DelRouterCounters struct{ chainsStep }

// String returns the command of nft.
func (s SetRouterCounters) String() string { return "nft '" + s.Table.NFTCommand() + "'" }

// String returns the command of nft.
func (DelRouterCounters) String() string { return "nft '" + marks.NFTDeleteRouterCounters + "'" }

// Removes reports false.
func (SetRouterCounters) Removes() bool { return false }

// Removes reports true.
func (DelRouterCounters) Removes() bool { return true }

// WriteTo makes the table.
func (s SetRouterCounters) WriteTo(w Writer) { w.SetRouterCounters(s.Table) }

// WriteTo deletes the table.
func (DelRouterCounters) WriteTo(w Writer) { w.DelRouterCounters() }
