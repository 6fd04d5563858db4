package nftables

import (
	"slices"

	"replypath/marks"
)

// changeHooks makes the base chain as it should be, and replaces all hooks of the family.
func (b *builder) changeHooks(base marks.NFTBase, changes []marks.HookChange) error {
	if len(changes) == 0 {
		return nil
	}
	if b.isUnused(base, changes) {
		if b.unused == nil {
			b.unused = map[string]bool{}
		}
		b.unused[base.Name()] = true
		b.deleteBase(base)
		return nil
	}
	for _, ipv6 := range families {
		name := base.HookChain(ipv6)
		if c := b.chains[name]; c == nil || c.base != (baseState{}) || ipv6 == b.ipv6 {
			b.emptyOrMake(name)
		}
	}
	if err := b.insertHooks(base, changes); err != nil {
		return err
	}
	if !b.baseIsSound(base) {
		b.makeBase(base)
	}
	return nil
}

// isUnused reports whether a base chain has no hook of either family after the changes.
func (b *builder) isUnused(base marks.NFTBase, changes []marks.HookChange) bool {
	if slices.ContainsFunc(changes, func(h marks.HookChange) bool { return h.Insert }) {
		return false
	}
	other := b.chains[base.HookChain(!b.ipv6)]
	return other == nil || len(other.rules) == 0
}

// insertHooks adds the hooks of the family.
func (b *builder) insertHooks(base marks.NFTBase, changes []marks.HookChange) error {
	for _, h := range changes {
		if !h.Insert {
			continue
		}
		expressions, err := encodeRule(h.Hook.Rule, "", b.ipv6)
		if err != nil {
			return err
		}
		b.add(ownTable.InsertRule(base.HookChain(b.ipv6), expressions...))
	}
	return nil
}

// makeBase makes the base chain, in place of one that is not as it should be.
func (b *builder) makeBase(base marks.NFTBase) {
	if b.chains[base.Name()] != nil {
		b.add(ownTable.FlushChain(base.Name()), ownTable.DeleteChain(base.Name()))
	}
	state := baseOf(base)
	b.add(ownTable.CreateBaseChain(base.Name(), state.kind, state.hook, state.priority))
	for _, ipv6 := range families {
		b.add(ownTable.AddRule(base.Name(), encodeFamilyGoto(ipv6, base.HookChain(ipv6))...))
	}
}
