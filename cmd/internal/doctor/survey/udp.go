package survey

import (
	"context"

	"replypath/cmd/internal/doctor"
	"replypath/uplinks"
)

// SuspectUDPServers returns the UDP servers that would reply from a wrong address with these settings, as far as the process
// may look at the sockets of others.
func SuspectUDPServers(ctx context.Context, s uplinks.Settings, facts uplinks.Facts) []string {
	c := &collector{Options: Options{Settings: s}, result: doctor.Snapshot{Settings: s, Facts: facts}}
	c.attempt("UDP servers", func() error { return c.readSockets(ctx) })
	return doctor.SuspectUDPServers(c.result)
}
