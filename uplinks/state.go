package uplinks

import "replypath/marks"

// State is what replypath has, or should have, in the kernel. It holds values only: all are compared by ==, Chains by
// Equal.
type State struct {
	Tunables map[Tunable]string
	Routes   map[RouteKey]Route
	Rules    map[Rule]bool
	Chains   map[ChainKey]marks.ChainRules
	Hooks    map[HookKey]marks.HookState
	Restored map[Tunable]Original // only in a wanted state: goes back to what was found
}

// SortedChains returns the keys of the chains in a fixed order.
func (s State) SortedChains() []ChainKey { return sortedKeys(s.Chains, compareChains) }

// NewState is a state in which nothing of ours is in the kernel.
func NewState() State {
	return State{
		Tunables: map[Tunable]string{},
		Routes:   map[RouteKey]Route{},
		Rules:    map[Rule]bool{},
		Chains:   map[ChainKey]marks.ChainRules{},
		Hooks:    map[HookKey]marks.HookState{},
		Restored: map[Tunable]Original{},
	}
}
