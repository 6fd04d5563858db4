package rpdb

import (
	"cmp"
	"slices"

	"replypath/uplinks"
)

// Database is the rules and routes of one family, in the order of the kernel.
type Database struct {
	Family uplinks.Family
	Rules  []Rule
	Tables map[uplinks.Table][]Route
	Links  map[string]Link
	// Forwarding reports that the host is an IPv6 router: it then does not prefer reachable gateways.
	Forwarding bool
}

// Link has the properties of a link that look-ups and the source check depend on.
type Link struct {
	Index    int
	Group    uplinks.Group
	VRF      string        // the VRF that it belongs to; a VRF belongs to itself
	VRFTable uplinks.Table // the table of the VRF
	Checks   InputChecks
}

// LinkNames returns the names of the links by index.
func (d *Database) LinkNames() map[int]string {
	names := make(map[int]string, len(d.Links))
	for name, l := range d.Links {
		names[l.Index] = name
	}
	return names
}

// findRoute returns the route that the table selects for the packet, or nil.
func (d *Database) findRoute(t uplinks.Table, p Packet) *Route {
	if d.Family == uplinks.IPv6 {
		return d.findRoute6(t, p)
	}
	return d.findRoute4(t, p)
}

// matchingRoutes returns the routes of a table that match the destination and source of the packet, the most specific first,
// and equally specific ones in the order of the kernel.
func (d *Database) matchingRoutes(t uplinks.Table, p Packet) (matching []*Route) {
	all := d.Tables[t]
	for i := range all {
		if r := &all[i]; r.Dst.Contains(p.To) && (!r.From.IsValid() || r.From.Contains(p.source())) {
			matching = append(matching, r)
		}
	}
	slices.SortStableFunc(matching, func(a, b *Route) int {
		return cmp.Or(cmp.Compare(b.Dst.Bits(), a.Dst.Bits()), cmp.Compare(sourceLength(b), sourceLength(a)))
	})
	return matching
}

// sourceLength returns the prefix length of the source for which the route is.
func sourceLength(r *Route) int {
	if r.From.IsValid() {
		return r.From.Bits()
	}
	return 0
}

// legacyTOS has the bits of the type of service that IPv4 compares (INET_DSCP_LEGACY_TOS_MASK).
const legacyTOS = 0x1c

// findRoute4 selects a route as fib_table_lookup does.
func (d *Database) findRoute4(t uplinks.Table, p Packet) *Route {
	for _, r := range d.matchingRoutes(t, p) {
		if r.TOS != 0 && r.TOS != p.TOS&legacyTOS {
			continue
		}
		if refusals[r.Type] != 0 || slices.ContainsFunc(r.Hops, func(h Hop) bool {
			return !h.Dead && (p.Out == "" || h.Link == p.Out)
		}) {
			return r
		}
	}
	return nil
}
