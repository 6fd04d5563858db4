package iptables

import (
	"context"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"
)

// Read lists our chains and jumps. It starts no process, unless there is something that only the iptables command can
// tell and the table changed since the last Read.
func (t *Table) Read(ctx context.Context) (Contents, error) {
	now, err := t.snapshot()
	if err != nil {
		return Contents{}, t.classify("see whether the table changed", err)
	}
	if now.unchanged || t.cache(now) {
		return *t.cached, nil
	}
	sum := now.generation
	if t.Backend == marks.NFT {
		if sum, err = t.digest(); err != nil {
			return Contents{}, t.classify("see whether the table changed", err)
		}
	}
	if t.cached != nil && t.cachedDigest == sum {
		t.cachedGeneration = now.generation
		return *t.cached, nil
	}
	t.cached = nil
	c, err := t.listContents(ctx, now.table)
	if err != nil {
		return c, err
	}
	// What changed while it was listed is listed again the next time.
	if after, err := t.Generation(); err == nil && after == now.generation {
		t.cached, t.cachedGeneration, t.cachedDigest = &c, now.generation, sum
	}
	return c, nil
}

// snapshot is what the kernel says of a table.
type snapshot struct {
	generation uint64
	unchanged  bool // by the stamp, to be as it was at the last Read; nothing else is told then
	table      decoded.Table
	malformed  bool     // it is not told as we understand it
	chains     [][]byte // of a table of nftables, as attributes
}

// cache makes what is looked at known, if all of ours in it can be told.
func (t *Table) cache(l snapshot) bool {
	c, complete := decodeContents(l.table)
	if complete = complete && !l.malformed; complete {
		t.cached, t.cachedGeneration, t.cachedDigest = &c, l.generation, 0
	}
	return complete
}

func (t *Table) snapshot() (l snapshot, err error) {
	if t.Backend == marks.NFT {
		return t.snapshotNFT()
	}
	raw, err := t.readLegacy(marks.MangleTable)
	if err != nil {
		return l, err
	}
	if l.generation = raw.hash(t.ipv6()); t.isCached(l.generation) {
		return snapshot{generation: l.generation, unchanged: true}, nil
	}
	l.table, err = decoded.Legacy(raw.entries, raw.hooks, t.ipv6())
	l.malformed = err != nil
	return l, nil
}

func (t *Table) isCached(stamp uint64) bool { return t.cached != nil && t.cachedGeneration == stamp }

// snapshotNFT reads chains and rules between two changes.
func (t *Table) snapshotNFT() (l snapshot, err error) {
	for range maxDumpAttempts {
		if l.generation, err = t.nftGeneration(); err != nil || t.isCached(l.generation) {
			return snapshot{generation: l.generation, unchanged: true}, err
		}
		raw, err := t.readNFT()
		if err != nil {
			return l, err
		}
		if after, err := t.nftGeneration(); err == nil && after == l.generation {
			l.table, l.chains = decoded.NFT(raw.chains, raw.rules), raw.chains
			return l, nil
		}
	}
	return l, fmt.Errorf("read the nftables table %s: it changes all the time", marks.MangleTable)
}

// decodeContents is what of ours a table holds, and whether all of it could be told.
func decodeContents(table decoded.Table) (c Contents, complete bool) {
	c = Contents{Chains: map[string]string{}, Hooks: map[marks.Hook]marks.HookState{}}
	for name, rules := range table {
		if !strings.HasPrefix(name, marks.Prefix) {
			continue
		}
		if c.Chains[name], complete = ruleLines(rules); !complete {
			return c, false
		}
	}
	for h, positions := range table.HookPositions() {
		if positions[0] > 0 {
			return c, false // whether the rules before it let packets pass, their text tells
		}
		c.Hooks[h] = marks.HookState{Count: len(positions), Reachable: true, NativeNFT: table.NativeHook(h)}
	}
	return c, true
}

func ruleLines(rules []decoded.ParsedRule) (lines string, complete bool) {
	var b strings.Builder
	for _, r := range rules {
		if !r.Complete || r.NativeNFT {
			return "", false
		}
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String(), true
}
