package uplinks

import (
	"maps"
	"slices"

	"replypath/marks"
)

// chainSteps returns one step for each firewall whose chains or hooks change: a marks.Change is atomic, so one step
// does all.
func chainSteps(want, have State) (write, erase Plan) {
	changed, gone := deltaFunc(want.Chains, have.Chains, compareChains, marks.ChainRules.Equal)
	moved, unhooked := delta(want.Hooks, have.Hooks, compareHooks)
	d := chainDelta{want, have, changed, gone, slices.Concat(moved, unhooked)}
	for _, firewall := range firewallsOf(want, have) {
		step := LoadChains{Firewall: firewall, Change: d.change(firewall)}
		if !have.pins(firewall) {
			step.Adopt = want.Pinned[firewall]
		}
		if u, translates := want.Untranslated[firewall]; translates && d.changesMasq(firewall) {
			step.Untranslated = &u
		}
		switch {
		case step.Change.IsEmpty():
		case hasChains(want, firewall):
			write = append(write, step)
		default:
			step.Unload = true
			erase = append(erase, step)
		}
	}
	markLast(want, erase)
	return write, erase
}

// TableLoads returns the steps that load the chains of marks.NFTTable from nothing, one for each family; none with another backend.
func (s State) TableLoads() (loads []LoadChains) {
	if !slices.ContainsFunc(firewallsOf(s), func(k FirewallKey) bool { return k.Backend == marks.Nftables }) {
		return nil
	}
	write, _ := chainSteps(s, NewState())
	for _, step := range write {
		if load := step.(LoadChains); load.Firewall.Backend == marks.Nftables {
			loads = append(loads, load)
		}
	}
	return loads
}

// pins reports whether connections that begin inside get a mark in the firewall.
func (s State) pins(firewall FirewallKey) bool {
	chain, exists := s.Chains[ChainKey{firewall, marks.Pin}]
	elements, isMap := s.Chains[ChainKey{firewall, marks.PinMap}]
	return exists && len(chain.Rules) > 0 && (!isMap || len(elements.Rules) > 0) && s.leadsTo(firewall, marks.Pin)
}

// leadsTo reports whether a hook leads packets to the chain.
func (s State) leadsTo(firewall FirewallKey, chain string) bool {
	for k, h := range s.Hooks {
		if k.Firewall == firewall && k.Hook.Rule.Action.Chain == chain && h.Count > 0 {
			return true
		}
	}
	return false
}

// changesMasq reports whether a chain that translates sources changes, or the hook that leads to them.
func (d chainDelta) changesMasq(firewall FirewallKey) bool {
	translates := func(k ChainKey) bool { return k.Firewall == firewall && marks.TableOf(k.Name) == marks.MasqTable }
	return slices.ContainsFunc(d.changed, translates) || slices.ContainsFunc(d.hooks, func(k HookKey) bool { return k.Firewall == firewall && k.Hook.Rule.Action.Chain == marks.Masq })
}

// chainDelta is the difference of the chains and hooks of two states, in all firewalls.
type chainDelta struct {
	want, have    State
	changed, gone []ChainKey
	hooks         []HookKey
}

// change returns the change of one firewall: it fills the chains that differ, then moves the hooks, then deletes the chains that
// are gone. All occurrences of a hook are removed, as a chain that a rule jumps to cannot be deleted.
func (d chainDelta) change(firewall FirewallKey) (c marks.Change) {
	for _, k := range slices.Concat(d.changed, d.gone) {
		if k.Firewall == firewall {
			_, exists := d.have.Chains[k]
			c.Chains = append(c.Chains, marks.ChainChange{Name: k.Name, Create: !exists, Rules: d.want.Chains[k].Rules})
		}
	}
	for _, k := range d.changedHooks(firewall) {
		if k.Firewall == firewall {
			c.Hooks = append(c.Hooks, marks.HookChange{Hook: k.Hook, Remove: d.have.Hooks[k].Count, Insert: d.want.Hooks[k].Count > 0})
		}
	}
	for _, k := range d.gone {
		if k.Firewall == firewall {
			c.Delete = append(c.Delete, k.Name)
		}
	}
	return c
}

// changedHooks returns the hooks to write. nftables deletes a rule by a number that no plan knows, so that all hooks of a
// built-in chain are written again with one that differs.
func (d chainDelta) changedHooks(firewall FirewallKey) []HookKey {
	if firewall.Backend != marks.Nftables {
		return d.hooks
	}
	all := map[HookKey]bool{}
	for _, k := range d.hooks {
		if k.Firewall != firewall {
			continue
		}
		for _, state := range []State{d.want, d.have} {
			for other := range state.Hooks {
				if other.Firewall == firewall && other.Hook.Builtin == k.Hook.Builtin {
					all[other] = true
				}
			}
		}
	}
	return sortedKeys(all, compareHooks)
}

// markLast marks the last step that unloads a part of marks.NFTTable, unless the other family keeps its part.
func markLast(want State, erase Plan) {
	for k := range want.Chains {
		if k.Firewall.Backend == marks.Nftables {
			return
		}
	}
	for i := len(erase) - 1; i >= 0; i-- {
		if step, is := erase[i].(LoadChains); is && step.Firewall.Backend == marks.Nftables {
			step.Last = true
			erase[i] = step
			return
		}
	}
}

// firewallsOf returns the firewalls with chains or hooks in any of the states, in order.
func firewallsOf(states ...State) []FirewallKey {
	found := map[FirewallKey]bool{}
	for _, s := range states {
		for k := range s.Chains {
			found[k.Firewall] = true
		}
		for k := range s.Hooks {
			found[k.Firewall] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), compareFirewalls)
}

// hasChains reports whether the state has chains in the firewall.
func hasChains(s State, t FirewallKey) bool {
	for k := range s.Chains {
		if k.Firewall == t {
			return true
		}
	}
	return false
}
