package uplinks

import "replypath/marks"

// State is all of ours that is, or should be, in the kernel. It holds plain values only: == is equality.
type State struct {
	Tunables map[Tunable]string
	Routes   map[RouteKey]Route
	Rules    map[Rule]bool
	Chains   map[ChainKey]string // the rules, as iptables prints them, a line each
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
		Chains:   map[ChainKey]string{},
		Hooks:    map[HookKey]marks.HookState{},
		Restored: map[Tunable]Original{},
	}
}
