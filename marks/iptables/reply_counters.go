package iptables

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// ReplyCounters are the first replies of an uplink that left by their ingress link, and those that strayed.
type ReplyCounters struct{ Symmetric, Stray uint64 }

// ReplyCounters reads the counters of all uplinks that the table has: from nftables without a process. The legacy backend's
// stand at 0 for a moment whenever somebody changes the table; so its command reads them, which waits for the lock.
func (t *Table) ReplyCounters(ctx context.Context) (map[marks.ID]ReplyCounters, error) {
	packets, err := t.rulePackets(ctx)
	if err != nil {
		return nil, t.classify("read the reply counters", err)
	}
	all := map[marks.ID]ReplyCounters{}
	for chain, n := range packets {
		if id, counts := marks.ParseCounterChain(chain); counts && len(n) == 2 {
			all[id] = ReplyCounters{n[0], n[1]}
		}
	}
	return all, nil
}

// rulePackets are how many packets the rules of each chain took.
func (t *Table) rulePackets(ctx context.Context) (map[string][]uint64, error) {
	all := map[string][]uint64{}
	if t.Backend == marks.NFT {
		held, err := t.readNFT()
		for _, r := range held.rules {
			chain := unix.ByteSliceToString(nlattr.Find(r, unix.NFTA_RULE_CHAIN))
			for name, data := range expressions(r) {
				if n := nlattr.Find(data, unix.NFTA_COUNTER_PACKETS); name == counter && len(n) == 8 {
					all[chain] = append(all[chain], binary.BigEndian.Uint64(n))
				}
			}
		}
		return all, err
	}
	listing, err := t.runIptables(ctx, "-v", "-S")
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
