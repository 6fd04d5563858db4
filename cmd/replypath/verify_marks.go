package main

import (
	"context"

	"replypath/cmd/internal/config"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
)

// maxMismarked is the number of connections among which verify searches for mismarked ones.
const maxMismarked = 100_000

// mismarked returns the connections to an address of one uplink that have the mark of another, or none if connections cannot be
// listed: the proof does not need them.
func mismarked(ctx context.Context, c config.Config, facts uplinks.Facts) []uplinks.MismarkedConnections {
	all, err := rtnl.MismarkedConnections(ctx, c.Settings, facts, maxMismarked)
	if err != nil {
		return []uplinks.MismarkedConnections{}
	}
	return nonNil(all)
}
