package daemon

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rtnl"
)

const (
	// The kernel walks its whole table for a reading, which takes milliseconds on a large one.
	firstMismark       = 5 * time.Second  // until the first reading
	mismarkInterval    = 30 * time.Second // between two readings of the connections
	maxMismarkInterval = time.Minute      // where reading takes long
	mismarkPauseFactor = 2000             // the pause is at least so many times the duration of the last reading
	mismarkLimit       = 10000            // connections that are read at a time
)

// mismarkPoller looks for connections to an address of one uplink that have the mark of another. Safe for concurrent use.
type mismarkPoller struct {
	log  *slog.Logger
	read func(ctx context.Context, s uplinks.Settings, f uplinks.Facts) ([]uplinks.MismarkedConnections, error)

	mu       sync.Mutex
	settings uplinks.Settings
	facts    uplinks.Facts
	found    []uplinks.MismarkedConnections // replaced, never changed
}

func newMismarkPoller(log *slog.Logger) *mismarkPoller {
	return &mismarkPoller{log: log, read: readMismarked}
}

// readMismarked reads nothing while there are no connections.
func readMismarked(ctx context.Context, s uplinks.Settings, f uplinks.Facts) ([]uplinks.MismarkedConnections, error) {
	if n, known := procfs.Sysctl("net/netfilter/nf_conntrack_count"); known && n == 0 {
		return nil, nil
	}
	return rtnl.MismarkedConnections(ctx, s, f, mismarkLimit)
}

// observe sets what a round has observed.
func (p *mismarkPoller) observe(s uplinks.Settings, f uplinks.Facts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings, p.facts = s, f
}

// Found returns what was found last. The caller must not change it.
func (p *mismarkPoller) Found() []uplinks.MismarkedConnections {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found
}

// Run reads until the context ends.
func (p *mismarkPoller) Run(ctx context.Context) error {
	pause := firstMismark
	for {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		began := time.Now()
		p.poll(ctx)
		pause = min(max(mismarkInterval, mismarkPauseFactor*time.Since(began)), maxMismarkInterval)
	}
}

func (p *mismarkPoller) poll(ctx context.Context) {
	p.mu.Lock()
	s, f, before := p.settings, p.facts, p.found
	p.mu.Unlock()
	found, err := p.read(ctx, s, f)
	if err != nil {
		p.log.Debug("cannot look for connections with the mark of another uplink", "err", err)
		return
	}
	for _, m := range found {
		if !slices.ContainsFunc(before, func(o uplinks.MismarkedConnections) bool { return o.To == m.To && o.Marked == m.Marked }) {
			p.log.Warn("there are "+m.String(), "remedy", uplinks.MismarkedRemedy)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = found
}
