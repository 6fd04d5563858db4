package host

import (
	"context"
	"slices"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// replyCounters accumulates the reply counters of the uplinks, by family and id.
type replyCounters struct {
	byUplink map[counterKey]*health.CumulativeReplies
	byRouter map[health.Key]*health.CumulativeReplies     // of uplinks that share their links
	requests map[health.RouterKey]*health.CumulativeCount // of routers of uplinks with several
	last     map[health.Key]uint64                        // the stray replies that the kernel had counted when it was read last
}

type counterKey struct {
	firewall uplinks.FirewallKey
	id       marks.ID
}

// ReplyCounts returns the counts of first replies of each path's connections, by egress. Counts continue from the last
// reading when a counter restarts; the kernel's counters outlive the program. It starts no process for nftables, and
// one for each family with the legacy backend.
func (h *Host) ReplyCounts(ctx context.Context, paths []health.Path) (map[health.Key]health.ReplyCounts, error) {
	h.chains.Lock()
	defer h.chains.Unlock()
	totals := map[health.Key]health.ReplyCounts{}
	h.counters.last = map[health.Key]uint64{}
	for family := range h.firewall.families {
		table := h.firewall.table(family, h.firewall.backend)
		if table.Absent() {
			continue
		}
		counts, err := table.Counters(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			if p.Family != family {
				continue
			}
			counter := h.counters.counter(counterKey{firewallKey(family, table), p.ID})
			totals[p.Key] = counter.Total()
			if now, exists := counts[p.ID]; exists {
				totals[p.Key] = counter.Observe(health.ReplyCounts(now))
				h.counters.last[p.Key] = now.Stray
			}
		}
	}
	if err := h.counters.observeRouters(paths, totals); err != nil {
		return nil, err
	}
	return totals, nil
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

// reset prepares for the counters that the step restarts at zero.
func (t *replyCounters) reset(s uplinks.LoadChains) {
	change := s.Change
	if s.Firewall.Backend == marks.Nftables { // there a chain's counters go on when it is flushed
		change.Chains = slices.DeleteFunc(slices.Clone(change.Chains), func(c marks.ChainChange) bool { return !c.Create })
	}
	for _, id := range change.ResetCounters() {
		t.counter(counterKey{s.Firewall, id}).Reset()
	}
}
