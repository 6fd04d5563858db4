package iptables

import (
	"context"
	"errors"
	"slices"

	"replypath/marks"
	"replypath/marks/netfilter"
)

// Apply performs the change by one run of iptables-restore, completely or not at all. If only deletions of chains fail,
// because a rule of another program jumps to one, it performs the rest and returns the error.
func (t *Table) Apply(ctx context.Context, c marks.Change) error {
	err := t.applyOrSplit(ctx, c)
	if err == nil && removesMasq(c) && t.backend == marks.NFT {
		return t.masqNFT().DeleteEmpty("POSTROUTING")
	}
	if errors.Is(err, marks.ErrUnsupported) {
		return t.findMissing(ctx, err)
	}
	if err == nil || isPersistent(err) || len(c.Delete) == 0 {
		return err
	}
	rest := c
	rest.Delete = nil
	if t.applyOrSplit(ctx, rest) != nil {
		return err
	}
	return t.asReferenced(err)
}

// isPersistent reports whether a second attempt would fail too, and perhaps take as long.
func isPersistent(err error) bool {
	return slices.ContainsFunc([]error{ErrLocked, ErrTimeout, ErrPermission, context.Canceled, context.DeadlineExceeded},
		func(target error) bool { return errors.Is(err, target) })
}

// applyOrSplit performs the change by one restore, or in parts if nftables refuses that.
func (t *Table) applyOrSplit(ctx context.Context, c marks.Change) error {
	err := t.restore(ctx, c.Restore())
	removes := slices.ContainsFunc(c.Hooks, func(h marks.HookChange) bool { return h.Remove > 0 })
	if err != nil && !isPersistent(err) && t.backend == marks.NFT && removes && t.applyInParts(ctx, c) == nil {
		return nil
	}
	return err
}

// applyInParts performs the change in three steps: additions, removal of the old hooks by handle, deletion of chains.
// iptables-nft cannot delete a rule from a chain with a rule of any program that it cannot decode, nor a hook that
// nft(8) has saved and loaded.
func (t *Table) applyInParts(ctx context.Context, c marks.Change) error {
	dump, err := t.nft().Dump(isRelevantChain)
	if err != nil {
		return err
	}
	masq, err := t.masqNFT().Dump(isMasqChain)
	if err != nil {
		return err
	}
	old := oldHooks(c, dump.Decode(), masq.Decode())
	additions := marks.Change{Chains: c.Chains, Hooks: slices.Clone(c.Hooks)}
	for i := range additions.Hooks {
		additions.Hooks[i].Remove = 0
	}
	if err := t.restore(ctx, additions.Restore()); err != nil {
		return err
	}
	for _, h := range old {
		if err := (netfilter.NFTTable{Family: t.Family(), Name: h.table}).DeleteRule(h.builtin, h.handle); err != nil {
			return err
		}
	}
	if len(c.Delete) == 0 {
		return nil
	}
	return t.restore(ctx, marks.Change{Delete: c.Delete}.Restore())
}

// builtinRule is a rule of a built-in chain in nftables.
type builtinRule struct {
	table, builtin string
	handle         uint64
}

// oldHooks returns the occurrences in the tables of the hooks that the change removes.
func oldHooks(c marks.Change, mangle, masq netfilter.Table) (old []builtinRule) {
	for _, h := range c.Hooks {
		table := mangle
		if h.Hook.Table() == marks.MasqTable {
			table = masq
		}
		for _, r := range table[h.Hook.Builtin] {
			if h.Remove > 0 && r.Complete && r.Rule == h.Hook.Rule {
				old = append(old, builtinRule{h.Hook.Table(), h.Hook.Builtin, r.Handle})
			}
		}
	}
	return old
}
