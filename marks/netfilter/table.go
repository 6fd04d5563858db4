package netfilter

import (
	"slices"
	"strings"

	"replypath/marks"
)

// ParsedRule is a decoded rule.
type ParsedRule struct {
	marks.Rule        // the properties that package marks expresses
	Complete   bool   // the rule has no other properties
	NativeNFT  bool   // written by nft(8) in a form that iptables does not write: iptables may fail to list the chain
	Handle     uint64 // nftables only
}

// Table has the rules of each chain of a table, in order. Chains without rules have an entry.
type Table map[string][]ParsedRule

// ForeignBefore reports whether a rule that is not a hook of replypath comes before a position in a built-in chain.
func (t Table) ForeignBefore(builtin string, position int) bool {
	return slices.ContainsFunc(t[builtin][:position], func(r ParsedRule) bool {
		return !r.Complete || !marks.Hook{Builtin: builtin, Rule: r.Rule}.Ours()
	})
}

// HookPositions returns the indexes of each hook of replypath in its built-in chain, ascending.
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

// NativeHook reports whether an occurrence of the hook is written by nft(8).
func (t Table) NativeHook(h marks.Hook) bool {
	return slices.ContainsFunc(t[h.Builtin], func(r ParsedRule) bool { return r.Complete && r.NativeNFT && r.Rule == h.Rule })
}

// ownChainAction returns a jump or goto. ok reports whether it leads to a chain of replypath; it writes no others.
func ownChainAction(kind marks.ActionKind, chain string) (a marks.Action, ok bool) {
	return marks.Action{Kind: kind, Chain: chain}, isPlainWord(chain) && strings.HasPrefix(chain, marks.Prefix)
}

// linkPrefix returns the pattern that matches all links with this prefix.
func linkPrefix(prefix string) (pattern string, ok bool) { return prefix + "+", isPlainWord(prefix) }

// linkName returns the pattern that matches the link of this name alone. No link has a slash in its name: iptables-nft
// writes "INVAL/D" for a rule that matches no link.
func linkName(name string) (pattern string, ok bool) {
	return name, isPlainWord(name) && !strings.HasSuffix(name, "+") && !strings.Contains(name, "/")
}

// isPlainWord reports whether the name can be an argument in a line of iptables-restore without quotes.
func isPlainWord(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}
