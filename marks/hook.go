package marks

import (
	"slices"
	"strings"
)

// Hook is a rule of a built-in chain that leads to one of ours.
type Hook struct {
	Builtin string
	Rule    Rule
}

// Hooks are our rules in built-in chains, in the order in which a packet meets them. The last one lets only a connection's
// first replies pass: to ask in POSTROUTING itself spares each packet of established connections a jump.
var Hooks = [...]Hook{
	{"PREROUTING", Rule{Action: Action{Kind: Jump, Chain: Pre}}},
	{"OUTPUT", Rule{Action: Action{Kind: Jump, Chain: Out}}},
	{"POSTROUTING", Rule{Dir: "REPLY", NotAssured: true, Action: Action{Kind: Jump, Chain: Post}}},
}

// Ours reports whether the hook is one of Hooks, or the same jump without a condition, which has no other use and would have
// replies counted twice. A jump on another condition is somebody's.
func (h Hook) Ours() bool {
	return slices.ContainsFunc(Hooks[:], func(ours Hook) bool {
		return h == ours || h == Hook{ours.Builtin, Rule{Action: ours.Rule.Action}}
	})
}

// IsHookChain reports whether a built-in chain is one that our hooks are in.
func IsHookChain(builtin string) bool {
	return slices.ContainsFunc(Hooks[:], func(h Hook) bool { return h.Builtin == builtin })
}

// HookState is how a hook stands in its built-in chain.
type HookState struct {
	Count     int  // how often
	Reachable bool // no rule before the first of them can end a packet's walk
	NativeNFT bool // one is as nft(8) writes it: iptables cannot read the chain then, for nobody
}

// FindHooks finds our hooks and how they stand. list gives a chain's rules as iptables -S prints them, and nothing when
// there is no such chain. Such text tells nothing of NativeNFT.
func FindHooks(chainRules func(chain string) []string) map[Hook]HookState {
	found := map[Hook]HookState{}
	for _, known := range Hooks {
		lines := chainRules(known.Builtin)
		for i, line := range lines {
			rule, err := ParseRule(strings.TrimPrefix(line, "-A "+known.Builtin))
			h := Hook{known.Builtin, rule}
			if err != nil || !h.Ours() {
				continue
			}
			state, exists := found[h]
			if state.Count++; !exists {
				// A name that is no chain's is a target.
				state.Reachable = !Terminates(lines[:i], chainRules)
			}
			found[h] = state
		}
	}
	return found
}
