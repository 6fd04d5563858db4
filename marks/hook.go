package marks

import "slices"

// Hook is a rule of a built-in chain that jumps to a chain of replypath.
type Hook struct {
	Builtin string
	Rule    Rule
}

// Hooks are the rules that replypath inserts into built-in chains for replies, in the order in which a packet traverses them. The
// last one matches only a connection's first replies: a match in POSTROUTING itself spares each packet of established
// connections a jump.
var Hooks = [...]Hook{
	{"PREROUTING", Rule{Action: Action{Kind: Jump, Chain: Pre}}},
	{"OUTPUT", Rule{Action: Action{Kind: Jump, Chain: Out}}},
	{"POSTROUTING", Rule{Dir: "REPLY", NotAssured: true, Action: Action{Kind: Jump, Chain: Post}}},
}

// Ours reports whether the hook is one that replypath inserts: of Hooks, for outbound connections or for interception, or the
// same jump without a condition, which has no other use and would count replies twice. A jump on another condition belongs to
// another program.
func (h Hook) Ours() bool {
	if h.isOutbound() || h.ComesLast() {
		return true
	}
	return slices.ContainsFunc(Hooks[:], func(ours Hook) bool {
		return h == ours || h == Hook{ours.Builtin, Rule{Action: ours.Rule.Action}}
	})
}

// IsHookChain reports whether a built-in chain of MangleTable contains a hook.
func IsHookChain(builtin string) bool {
	return slices.ContainsFunc(Hooks[:], func(h Hook) bool { return h.Builtin == builtin })
}

// HookState describes the occurrences of a hook in its built-in chain.
type HookState struct {
	Count     int  // number of occurrences
	Reachable bool // no rule before the first occurrence can end the traversal of the chain
	NativeNFT bool // an occurrence is written by nft(8): iptables can then not list the chain at all
}
