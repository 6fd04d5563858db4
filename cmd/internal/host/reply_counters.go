package host

import (
	"context"
	"strings"
	"sync"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// replyCounters add up the reply counters of the uplinks, by family and id.
type replyCounters struct {
	mu       sync.Mutex // held while counters are read, laid anew, or looked for elsewhere, so that it is known which came first
	byUplink map[counterKey]*health.CumulativeReplies
}

type counterKey struct {
	tool uplinks.Tool
	id   marks.ID
}

// ReplyCounts are the first replies of each path's connections that were counted, by where they left. They go on from what
// was last read when the counters had to be laid anew; the counters themselves outlive the program. It starts no process
// for nftables, and one for each family with the legacy backend.
func (h *Host) ReplyCounts(ctx context.Context, paths []health.Path) (map[health.Key]health.ReplyCounts, error) {
	h.counters.mu.Lock()
	defer h.counters.mu.Unlock()
	seen := map[health.Key]health.ReplyCounts{}
	for family := range h.firewall.families {
		table := h.firewall.table(family, h.firewall.backend)
		if table.Absent() {
			continue
		}
		counts, err := table.ReplyCounters(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			if p.Family != family {
				continue
			}
			counter := h.counters.counter(counterKey{tool(family, table), p.ID})
			seen[p.Key] = counter.Total()
			if now, there := counts[p.ID]; there {
				seen[p.Key] = counter.Observe(health.ReplyCounts(now))
			}
		}
	}
	return seen, nil
}

func (t *replyCounters) counter(by counterKey) *health.CumulativeReplies {
	if t.byUplink == nil {
		t.byUplink = map[counterKey]*health.CumulativeReplies{}
	}
	if t.byUplink[by] == nil {
		t.byUplink[by] = &health.CumulativeReplies{}
	}
	return t.byUplink[by]
}

// resetDeclared notes which counters a restore lays anew.
func (t *replyCounters) resetDeclared(s uplinks.LoadChains) {
	for line := range strings.Lines(s.Text) {
		chain, declared := strings.CutPrefix(line, ":")
		chain, _, _ = strings.Cut(chain, " ")
		if id, counts := marks.ParseCounterChain(chain); declared && counts {
			t.counter(counterKey{s.Tool, id}).Reset()
		}
	}
}
