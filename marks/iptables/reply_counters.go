package iptables

import (
	"context"
	"fmt"
	"strings"

	"replypath/marks"
)

// Counters returns the reply counters of all uplinks in the table. It reads nftables without a process. The counters of
// the legacy backend read as 0 for a moment whenever a program changes the table, so they are read by the command,
// which waits for the xtables lock.
func (t *Table) Counters(ctx context.Context) (map[marks.ID]marks.ReplyCounters, error) {
	packets, err := t.rulePackets(ctx)
	if err != nil {
		return nil, t.classify("read the reply counters", err)
	}
	counters := map[marks.ID]marks.ReplyCounters{}
	for chain, n := range packets {
		if id, ok := marks.ParseCounterChain(chain); ok && len(n) == 2 {
			counters[id] = marks.ReplyCounters{Symmetric: n[0], Stray: n[1]}
		}
	}
	return counters, nil
}

// rulePackets returns the packet counts of each chain's rules, in order.
func (t *Table) rulePackets(ctx context.Context) (map[string][]uint64, error) {
	if t.backend == marks.NFT {
		return t.nft().RulePackets(func(chain string) bool {
			_, counts := marks.ParseCounterChain(chain)
			return counts
		})
	}
	listing, err := t.runIptables(ctx, "-v", "-S")
	packets := map[string][]uint64{}
	for line := range strings.Lines(listing) {
		words := strings.Fields(line)
		_, count, counted := strings.Cut(line, " -c ")
		if len(words) < 2 || words[0] != "-A" || !counted {
			continue
		}
		var n uint64
		if _, err := fmt.Sscan(count, &n); err == nil {
			packets[words[1]] = append(packets[words[1]], n)
		}
	}
	return packets, err
}
