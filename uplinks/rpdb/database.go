package rpdb

import (
	"cmp"
	"slices"

	"replypath/uplinks"
)

// Database is the rules and routes of one family, in the kernel's order.
type Database struct {
	Family uplinks.Family
	Rules  []Rule
	Tables map[uplinks.Table][]Route
	Links  map[string]Link
	// Forwarding says that the host is an IPv6 router: it then does not prefer gateways that answer.
	Forwarding bool
}

// Link is what look-ups and the source check know of a link.
type Link struct {
	Index    int
	Group    uplinks.Group
	VRF      string        // the l3mdev that it belongs to
	VRFTable uplinks.Table // of the l3mdev
	Checks   InputChecks
}

// LinkNames are the links' names by their index.
func (d *Database) LinkNames() map[int]string {
	names := make(map[int]string, len(d.Links))
	for name, l := range d.Links {
		names[l.Index] = name
	}
	return names
}

// findRoute is what a table says of the packet.
func (d *Database) findRoute(t uplinks.Table, p Packet) *Route {
	if d.Family == uplinks.IPv6 {
		return d.findRoute6(t, p)
	}
	return d.findRoute4(t, p)
}

// matchingRoutes are the routes of a table that hold the packet's destination and source, the most specific first, and equals
// in the kernel's order.
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

// sourceLength is the length of the source that a route is for.
func sourceLength(r *Route) int {
	if r.From.IsValid() {
		return r.From.Bits()
	}
	return 0
}

// legacyTOS are the bits of the type of service that IPv4 compares (INET_DSCP_LEGACY_TOS_MASK).
const legacyTOS = 0x1c

// findRoute4 is fib_table_lookup.
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
