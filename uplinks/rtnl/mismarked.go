package rtnl

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
)

// MismarkedConnections returns the connections to an address of one uplink that have the mark of another, grouped. It reads at
// most limit connections, in the order of the kernel's hash table, which is a random one: where ids differ, all of a node's copied
// connections are wrong. Both families are read at once, because the kernel walks the whole table for each reading, which takes
// milliseconds even when it is empty (262,144 buckets by default). It needs CAP_NET_ADMIN.
func MismarkedConnections(ctx context.Context, s uplinks.Settings, f uplinks.Facts, limit int) ([]uplinks.MismarkedConnections, error) {
	read, err := ConnectionsWithMark(ctx, MarkFilter{}, limit)
	if err != nil {
		return nil, err
	}
	return groupMismarked(read, s, f), nil
}

// groupMismarked groups the mismarked ones of the connections by address and mark.
func groupMismarked(read []Connection, s uplinks.Settings, f uplinks.Facts) []uplinks.MismarkedConnections {
	g := newMismarkedGroups(s, f)
	for _, c := range read {
		g.add(c)
	}
	return g.sorted()
}

// mismarkedGroups groups mismarked connections by address and mark.
type mismarkedGroups struct {
	settings uplinks.Settings
	owners   map[netip.Addr]uplinks.Uplink
	byID     map[marks.ID]string
	all      []uplinks.MismarkedConnections
}

func newMismarkedGroups(s uplinks.Settings, f uplinks.Facts) *mismarkedGroups {
	g := &mismarkedGroups{settings: s, owners: s.AddressOwners(f), byID: map[marks.ID]string{}}
	for _, u := range s.Uplinks {
		g.byID[u.ID] = u.Name
	}
	return g
}

// add adds a connection, if it is mismarked.
func (g *mismarkedGroups) add(c Connection) {
	to := c.Original.To.Addr()
	owner, known := g.owners[to]
	id := g.settings.Mask.ID(marks.Mark(c.Mark) & marks.Mark(g.settings.Mask))
	marked, ours := g.byID[id]
	if !known || !ours || id == owner.ID {
		return
	}
	i := slices.IndexFunc(g.all, func(m uplinks.MismarkedConnections) bool { return m.To == to && m.Marked == marked })
	if i < 0 {
		i = len(g.all)
		g.all = append(g.all, uplinks.MismarkedConnections{To: to, Uplink: owner.Name, Marked: marked, Example: c.Original.String()})
	}
	g.all[i].Count++
}

// sorted returns the groups in order.
func (g *mismarkedGroups) sorted() []uplinks.MismarkedConnections {
	slices.SortFunc(g.all, func(a, b uplinks.MismarkedConnections) int {
		return cmp.Or(a.To.Compare(b.To), cmp.Compare(a.Marked, b.Marked))
	})
	return g.all
}
