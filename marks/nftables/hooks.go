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
	changes, gate := marks.WithoutGates(changes)
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
	if found, sound := b.findGate(base); sound && (found == nil) == (gate == nil) && (gate == nil || *found == *gate) {
		return nil
	}
	return b.makeBase(base, gate)
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

// makeBase makes the base chain, with the gate if there is one, in place of one that is not as it should be. Behind a gate that is
// alone packets go to chains of both families, of which that of the other one may come later.
func (b *builder) makeBase(base marks.NFTBase, gate *marks.Rule) error {
	if b.chains[base.Name()] != nil {
		b.add(ownTable.FlushChain(base.Name()), ownTable.DeleteChain(base.Name()))
	}
	state := baseOf(base)
	b.add(ownTable.CreateBaseChain(base.Name(), state.kind, state.hook, state.priority))
	if gate.IsAlone() {
		chain, _ := base.Behind()
		if other := marks.NFTChain(chain, !b.ipv6); b.chains[other] == nil {
			b.add(ownTable.CreateChain(other))
		}
	}
	if gate != nil {
		expressions, err := encodeRule(*gate, "", b.ipv6)
		if err != nil {
			return err
		}
		b.add(ownTable.AddRule(base.Name(), expressions...))
	}
	for _, ipv6 := range families {
		b.add(ownTable.AddRule(base.Name(), encodeFamilyGoto(base, ipv6, gate.IsAlone())...))
	}
	return nil
}
