package rtnl

import (
	"context"

	"replypath/uplinks"
)

// ConnectionSurvey is what the connections of a host say about it. Each list is sorted.
type ConnectionSurvey struct {
	Marked         []uplinks.MarkedConnections    // those whose mark has bits of the mask of the settings, by their mark
	Mismarked      []uplinks.MismarkedConnections // those to an address of one uplink with the mark of another
	ForeignSources []uplinks.ForeignSource        // those that began inside and leave with a source that is not the uplink's
}

// SurveyConnections reads all connections in the network namespace of the calling thread, once for all that it returns: the kernel
// walks its whole table for each reading. It needs CAP_NET_ADMIN.
func SurveyConnections(ctx context.Context, s uplinks.Settings, f uplinks.Facts) (ConnectionSurvey, error) {
	var marked *markGroups
	var mismarked *mismarkedGroups
	var sources *foreignSourceGroups
	err := dump(ctx, "connections", func() error {
		marked, mismarked, sources = newMarkGroups(s.Mask), newMismarkedGroups(s, f), newForeignSourceGroups(s, f)
		return MarkFilter{}.each(func(c Connection, _ []byte) {
			marked.add(c)
			mismarked.add(c)
			sources.add(c)
		})
	})
	return ConnectionSurvey{marked.sorted(), mismarked.sorted(), sources.sorted()}, err
}
