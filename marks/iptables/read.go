package iptables

import (
	"context"
	"fmt"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
)

// maxReadAttempts bounds how often a read of nftables is repeated because the rules changed meanwhile.
const maxReadAttempts = 20

// Read returns the chains and hooks of replypath. It starts a process only if the table changed since the last Read and
// has rules that the kernel's form does not explain.
func (t *Table) Read(ctx context.Context) (marks.Ruleset, error) {
	now, err := t.snapshot()
	if err != nil {
		return marks.Ruleset{}, t.classify("check whether the table changed", err)
	}
	if now.unchanged || t.cacheDecoded(now) {
		return *t.cached, nil
	}
	digest := now.generation
	if t.backend == marks.NFT {
		if digest, err = t.digest(); err != nil {
			return marks.Ruleset{}, t.classify("check whether the table changed", err)
		}
	}
	if t.cached != nil && t.cachedDigest == digest {
		t.cachedGeneration = now.generation
		return *t.cached, nil
	}
	t.cached = nil
	rules, err := t.list(ctx, now.table)
	if err != nil {
		return rules, err
	}
	addMasq(&rules, now.masq)
	// What changes during the listing is listed again by the next Read.
	if after, err := t.Generation(); err == nil && after == now.generation {
		t.cached, t.cachedGeneration, t.cachedDigest = &rules, now.generation, digest
	}
	return rules, nil
}

// snapshot is the kernel's form of a table.
type snapshot struct {
	generation uint64
	unchanged  bool // since the last Read; all fields below are then empty
	table      netfilter.Table
	masq       netfilter.Table
	malformed  bool     // the table could not be decoded
	chains     [][]byte // nftables only: the attributes of all chains
}

// snapshot reads the table from the kernel, unless its generation is that of the last Read.
func (t *Table) snapshot() (s snapshot, err error) {
	if t.backend == marks.NFT {
		return t.snapshotNFT()
	}
	raw, err := netfilter.ReadLegacyTable(marks.MangleTable, t.ipv6())
	if err != nil {
		return s, err
	}
	masq, err := t.readLegacyMasq()
	if err != nil {
		return s, err
	}
	if s.generation = raw.Hash() ^ masqHash(masq); t.isCached(s.generation) {
		return snapshot{generation: s.generation, unchanged: true}, nil
	}
	s.table, err = raw.Decode()
	s.malformed = err != nil
	if masq != nil {
		s.masq, err = masq.Decode()
		s.malformed = s.malformed || err != nil
	}
	return s, nil
}

// snapshotNFT reads chains and rules of the same generation.
func (t *Table) snapshotNFT() (s snapshot, err error) {
	for range maxReadAttempts {
		if s.generation, err = netfilter.Generation(); err != nil || t.isCached(s.generation) {
			return snapshot{generation: s.generation, unchanged: true}, err
		}
		dump, err := t.nft().Dump(isRelevantChain)
		if err != nil {
			return s, err
		}
		masq, err := t.masqNFT().Dump(isMasqChain)
		if err != nil {
			return s, err
		}
		if after, err := netfilter.Generation(); err == nil && after == s.generation {
			s.table, s.masq, s.chains = dump.Decode(), masq.Decode(), dump.Chains
			return s, nil
		}
	}
	return s, fmt.Errorf("read the nftables table %s: it changes continuously", marks.MangleTable)
}

// isRelevantChain reports whether the rules of a chain of the mangle table are read: those of replypath and those with
// hooks.
func isRelevantChain(chain string) bool {
	return strings.HasPrefix(chain, marks.Prefix) || marks.IsHookChain(chain)
}

func (t *Table) isCached(generation uint64) bool {
	return t.cached != nil && t.cachedGeneration == generation
}

// cacheDecoded stores the rules of a snapshot as those of the last Read. It reports whether they are complete;
// otherwise it stores nothing.
func (t *Table) cacheDecoded(s snapshot) bool {
	rules, complete := ownRuleset(s.table)
	if complete = complete && !s.malformed; complete {
		addMasq(&rules, s.masq)
		t.cached, t.cachedGeneration, t.cachedDigest = &rules, s.generation, 0
	}
	return complete
}

// ownRuleset returns the chains and hooks of replypath in a decoded table. complete reports whether all of them could
// be decoded.
func ownRuleset(table netfilter.Table) (r marks.Ruleset, complete bool) {
	r = marks.Ruleset{Chains: map[string]marks.ChainRules{}, Hooks: map[marks.Hook]marks.HookState{}}
	for name, parsed := range table {
		if !strings.HasPrefix(name, marks.Prefix) {
			continue
		}
		rules := make([]marks.Rule, len(parsed))
		for i, p := range parsed {
			if !p.Complete || p.NativeNFT {
				return r, false
			}
			rules[i] = p.Rule
		}
		r.Chains[name] = marks.ChainRules{Rules: rules}
	}
	for h, positions := range table.HookPositions() {
		if table.ForeignBefore(h.Builtin, positions[0]) {
			return r, false // only the listing tells whether the rules before it end the traversal
		}
		r.Hooks[h] = marks.HookState{Count: len(positions), Reachable: true, NativeNFT: table.NativeHook(h)}
	}
	return r, true
}
