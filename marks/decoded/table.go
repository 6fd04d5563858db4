// Package decoded reads mangle rules out of the bytes in which the kernel gives them: a table of the legacy backend
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h), or the chains and rules of nftables
// (linux/netfilter/nf_tables.h). It asks the kernel nothing, and takes no byte on trust.
package decoded

import (
	"slices"
	"strings"

	"replypath/marks"
)

// ParsedRule is a rule as the kernel holds it.
type ParsedRule struct {
	marks.Rule        // what of it is of the kinds that we write
	Complete   bool   // there is no more to it
	NativeNFT  bool   // it is as nft(8) writes it and iptables does not: iptables may not be able to read it
	Handle     uint64 // its name among the rules of a table of nftables
}

// Table is the rules of each chain of a table, in order. A chain without rules has an entry too.
type Table map[string][]ParsedRule

// HookPositions are where in the built-in chains each rule of ours stands, from 0 on.
func (t Table) HookPositions() map[marks.Hook][]int {
	positions := map[marks.Hook][]int{}
	for chain, rules := range t {
		if !marks.IsHookChain(chain) {
			continue
		}
		for i, r := range rules {
			if h := (marks.Hook{Builtin: chain, Rule: r.Rule}); r.Complete && h.Ours() {
				positions[h] = append(positions[h], i)
			}
		}
	}
	return positions
}

// NativeHook reports whether a rule of ours in a built-in chain is as nft(8) writes it.
func (t Table) NativeHook(h marks.Hook) bool {
	return slices.ContainsFunc(t[h.Builtin], func(r ParsedRule) bool { return r.Complete && r.NativeNFT && r.Rule == h.Rule })
}

// ownChainAction is a jump or goto, and whether we write such: all our chains lead to ours alone.
func ownChainAction(v marks.ActionKind, chain string) (t marks.Action, ok bool) {
	return marks.Action{Kind: v, Chain: chain}, isPlainWord(chain) && strings.HasPrefix(chain, marks.Prefix)
}

// linkPrefix is a link's name that stands for all that begin so, and exactly is one that stands for itself.
func linkPrefix(name string) (text string, ok bool) { return name + "+", isPlainWord(name) }

func linkName(name string) (text string, ok bool) {
	return name, isPlainWord(name) && !strings.HasSuffix(name, "+")
}

// isPlainWord reports whether a name is one word of a line.
func isPlainWord(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}
