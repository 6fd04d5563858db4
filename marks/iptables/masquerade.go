package iptables

import (
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/netfilter"
)

// isMasqChain reports whether the rules of a chain of marks.MasqTable are read.
func isMasqChain(chain string) bool {
	return strings.HasPrefix(chain, marks.Prefix) || chain == "POSTROUTING"
}

// digest returns a hash over the rules of both tables.
func (t *Table) digest() (uint64, error) {
	mangle, err := t.nft().Digest()
	if err != nil {
		return 0, err
	}
	masq, err := t.masqNFT().Digest()
	return mangle ^ masq<<1, err
}

// readLegacyMasq reads marks.MasqTable in the legacy backend; nil if it does not exist: reading would create it.
func (t *Table) readLegacyMasq() (*netfilter.LegacyTable, error) {
	if !slices.Contains(netfilter.LegacyTableNames(t.ipv6()), marks.MasqTable) {
		return nil, nil
	}
	raw, err := netfilter.ReadLegacyTable(marks.MasqTable, t.ipv6())
	return &raw, err
}

// masqHash returns the hash of a legacy table, or 0 if there is none.
func masqHash(t *netfilter.LegacyTable) uint64 {
	if t == nil {
		return 0
	}
	return t.Hash() << 1
}

// addMasq adds the chains and hooks of marks.MasqTable. A rule that cannot be decoded is one that replypath does not write. A
// hook counts as reachable wherever it is: the rules before it are the operator's own address translation.
func addMasq(r *marks.Ruleset, table netfilter.Table) {
	for name, parsed := range table {
		if !strings.HasPrefix(name, marks.Prefix) {
			continue
		}
		rules := make([]marks.Rule, len(parsed))
		for i, p := range parsed {
			if rules[i] = p.Rule; !p.Complete || p.NativeNFT {
				rules[i] = marks.Rule{Opaque: "unknown"}
			}
		}
		r.Chains[name] = marks.ChainRules{Rules: rules}
	}
	for h, positions := range table.HookPositions() {
		if h.Table() == marks.MasqTable {
			r.Hooks[h] = marks.HookState{Count: len(positions), Reachable: true, NativeNFT: table.NativeHook(h)}
		}
	}
}

// removesMasq reports whether the change deletes the chain of marks.MasqTable.
func removesMasq(c marks.Change) bool { return slices.Contains(c.Delete, marks.Masq) }
