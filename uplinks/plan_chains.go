package uplinks

import (
	"maps"
	"slices"
)

// chainSteps has one step for each iptables command whose chains change. One restore is atomic, so it does all of it.
func chainSteps(want, have State) (write, erase Plan) {
	for _, tool := range toolsOf(want, have) {
		l := newLoad(tool, restoreSize(want, tool))
		l.changeChains(want, have)
		step, any := l.step()
		switch {
		case any && hasChains(want, tool):
			write = append(write, step)
		case any:
			step.Unload = true
			erase = append(erase, step)
		}
	}
	return write, erase
}

// restoreSize is about how many bytes a tool's wanted rules take in a restore, where each begins with its chain's name.
func restoreSize(want State, t Tool) int {
	bytes := 0
	for k, rules := range want.Chains {
		if k.Tool == t {
			bytes += 2 * len(rules)
		}
	}
	return bytes
}

// changeChains fills what differs, moves the jumps, and drops what is not wanted: declared anew, and so emptied, before
// the first is deleted, as they refer to each other.
func (l *load) changeChains(want, have State) {
	changed, gone := delta(want.Chains, have.Chains, compareChains)
	moved, unhooked := delta(want.Hooks, have.Hooks, compareHooks)
	mine := func(k ChainKey) bool { return k.Tool == l.tool }
	for _, k := range filter(slices.Concat(changed, gone), mine) {
		_, exists := have.Chains[k]
		l.declare(k.Name, exists)
	}
	for _, k := range filter(changed, mine) {
		l.fill(k.Name, want.Chains[k])
	}
	for _, k := range filter(slices.Concat(moved, unhooked), func(k HookKey) bool { return k.Tool == l.tool }) {
		l.unhook(k.Hook, have.Hooks[k].Count)
		if want.Hooks[k].Count > 0 {
			l.hook(k.Hook)
		}
	}
	for _, k := range filter(gone, mine) {
		l.drop(k.Name)
	}
}

func filter[T any](all []T, keep func(T) bool) []T {
	return slices.DeleteFunc(all, func(x T) bool { return !keep(x) })
}

func toolsOf(states ...State) []Tool {
	found := map[Tool]bool{}
	for _, s := range states {
		for k := range s.Chains {
			found[k.Tool] = true
		}
		for k := range s.Hooks {
			found[k.Tool] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), compareTools)
}

func hasChains(s State, t Tool) bool {
	for k := range s.Chains {
		if k.Tool == t {
			return true
		}
	}
	return false
}
