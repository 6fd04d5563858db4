package xtables

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// Counts are the first replies of an uplink that left by their ingress link, and those that strayed.
type Counts struct{ Symmetric, Stray uint64 }

// Counts reads the counters of all uplinks that the table has: from nftables without a process. The legacy backend's
// stand at 0 for a moment whenever somebody changes the table; so its command reads them, which waits for the lock.
func (t *Table) Counts(ctx context.Context) (map[marks.ID]Counts, error) {
	packets, err := t.packets(ctx)
	if err != nil {
		return nil, t.explain("read the reply counters", err)
	}
	all := map[marks.ID]Counts{}
	for chain, n := range packets {
		if id, counts := marks.CountedIn(chain); counts && len(n) == 2 {
			all[id] = Counts{n[0], n[1]}
		}
	}
	return all, nil
}

// packets are how many packets the rules of each chain took.
func (t *Table) packets(ctx context.Context) (map[string][]uint64, error) {
	all := map[string][]uint64{}
	if t.Backend == marks.NFT {
		held, err := t.nft()
		for _, r := range held.rules {
			chain := unix.ByteSliceToString(nfnetlink.Value(r, unix.NFTA_RULE_CHAIN))
			for name, data := range expressions(r) {
				if n := nfnetlink.Value(data, unix.NFTA_COUNTER_PACKETS); name == counter && len(n) == 8 {
					all[chain] = append(all[chain], binary.BigEndian.Uint64(n))
				}
			}
		}
		return all, err
	}
	listing, err := t.say(ctx, "-v", "-S")
	for line := range strings.Lines(listing) {
		words := strings.Fields(line)
		_, count, counted := strings.Cut(line, " -c ")
		var n uint64
		if len(words) < 2 || words[0] != "-A" || !counted {
			continue
		}
		if _, err := fmt.Sscan(count, &n); err == nil {
			all[words[1]] = append(all[words[1]], n)
		}
	}
	return all, err
}
