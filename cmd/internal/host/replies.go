package host

import (
	"context"
	"strings"
	"sync"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// tallies add up the reply counters of the uplinks, by family and id.
type tallies struct {
	mu sync.Mutex // held while counters are read, laid anew, or looked for elsewhere, so that it is known which came first
	of map[talliedBy]*health.Tally
}

type talliedBy struct {
	tool uplinks.Tool
	id   marks.ID
}

// Replies are the first replies of each path's connections that were counted, by where they left. They go on from what
// was last read when the counters had to be laid anew; the counters themselves outlive the program. It starts no process
// for nftables, and one for each family with the legacy backend.
func (h *Host) Replies(ctx context.Context, paths []health.Path) (map[health.Key]health.Seen, error) {
	h.tallies.mu.Lock()
	defer h.tallies.mu.Unlock()
	seen := map[health.Key]health.Seen{}
	for family := range h.firewall.families {
		table := h.firewall.table(family, h.firewall.backend)
		if table.Absent() {
			continue
		}
		counts, err := table.Counts(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			if p.Family != family {
				continue
			}
			tally := h.tallies.tally(talliedBy{tool(family, table), p.ID})
			seen[p.Key] = tally.Sum()
			if now, there := counts[p.ID]; there {
				seen[p.Key] = tally.Read(health.Seen(now))
			}
		}
	}
	return seen, nil
}

func (t *tallies) tally(by talliedBy) *health.Tally {
	if t.of == nil {
		t.of = map[talliedBy]*health.Tally{}
	}
	if t.of[by] == nil {
		t.of[by] = &health.Tally{}
	}
	return t.of[by]
}

// renew notes which counters a restore lays anew.
func (t *tallies) renew(s uplinks.LoadChains) {
	for line := range strings.Lines(s.Text) {
		chain, declared := strings.CutPrefix(line, ":")
		chain, _, _ = strings.Cut(chain, " ")
		if id, counts := marks.CountedIn(chain); declared && counts {
			t.tally(talliedBy{s.Tool, id}).Renew()
		}
	}
}
