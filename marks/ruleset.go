package marks

import "slices"

// Ruleset is the part of one firewall that replypath owns. A Firewall returns it by Read.
type Ruleset struct {
	Chains map[string]ChainRules // by name; chains without rules have an entry
	Hooks  map[Hook]HookState
}

// Creation returns the change that makes the chains and hooks in an empty firewall. It fails if a chain is unreadable.
func (r Ruleset) Creation() (c Change, readable bool) {
	for name, chain := range r.Chains {
		if chain.Unreadable {
			return c, false
		}
		c.Chains = append(c.Chains, ChainChange{Name: name, Create: true, Rules: chain.Rules})
	}
	for h := range r.Hooks {
		c.Hooks = append(c.Hooks, HookChange{Hook: h, Insert: true})
	}
	return c, true
}

// ChainRules is the content of one chain. The zero value is an empty chain.
type ChainRules struct {
	Rules []Rule
	// Unreadable reports that the backend cannot list the chain, so Rules is empty. The chain then differs from
	// every chain that replypath writes.
	Unreadable bool
}

// Equal reports whether both chains have the same rules in the same order.
func (c ChainRules) Equal(other ChainRules) bool {
	return c.Unreadable == other.Unreadable && slices.Equal(c.Rules, other.Rules)
}
