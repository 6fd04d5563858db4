package rtnl

import (
	"cmp"
	"context"
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
func groupMismarked(read []Connection, s uplinks.Settings, f uplinks.Facts) (all []uplinks.MismarkedConnections) {
	owners, byID := s.AddressOwners(f), map[marks.ID]string{}
	for _, u := range s.Uplinks {
		byID[u.ID] = u.Name
	}
	for _, c := range read {
		to := c.Original.To.Addr()
		owner, known := owners[to]
		id := s.Mask.ID(marks.Mark(c.Mark) & marks.Mark(s.Mask))
		marked, ours := byID[id]
		if !known || !ours || id == owner.ID {
			continue
		}
		i := slices.IndexFunc(all, func(m uplinks.MismarkedConnections) bool { return m.To == to && m.Marked == marked })
		if i < 0 {
			i = len(all)
			all = append(all, uplinks.MismarkedConnections{To: to, Uplink: owner.Name, Marked: marked,
				Example: c.Original.String()})
		}
		all[i].Count++
	}
	slices.SortFunc(all, func(a, b uplinks.MismarkedConnections) int {
		return cmp.Or(a.To.Compare(b.To), cmp.Compare(a.Marked, b.Marked))
	})
	return all
}
