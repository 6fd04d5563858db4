package iptables

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/world"
)

// removal returns the change that undoes layout.
func removal(c marks.Change) (r marks.Change) {
	for _, chain := range c.Chains {
		r.Chains = append(r.Chains, marks.ChainChange{Name: chain.Name})
		r.Delete = append(r.Delete, chain.Name)
	}
	for _, h := range c.Hooks {
		r.Hooks = append(r.Hooks, marks.HookChange{Hook: h.Hook, Remove: 1})
	}
	return r
}

func read(t *testing.T, h *world.Host, table *Table) (r marks.Ruleset) {
	t.Helper()
	var err error
	h.Do(func() { r, err = table.Read(t.Context()) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAppliedChangeReadsBackAndIsUndone(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		c := layout(table.ipv6(), 0x1f00, 20, ethernet)
		apply(t, h, table, c)
		r := read(t, h, table)
		for _, chain := range c.Chains {
			if !r.Chains[chain.Name].Equal(marks.ChainRules{Rules: chain.Rules}) {
				t.Errorf("%s is %v, want %v", chain.Name, r.Chains[chain.Name], chain.Rules)
			}
		}
		for _, hook := range marks.Hooks {
			if r.Hooks[hook] != (marks.HookState{Count: 1, Reachable: true}) {
				t.Errorf("%s: %+v", hook.Builtin, r.Hooks[hook])
			}
		}
		apply(t, h, table, removal(c))
		if r := read(t, h, table); len(r.Chains)+len(r.Hooks) != 0 {
			t.Errorf("left behind: %v", r)
		}
	})
}

// iptables-nft does not recognize a hook in the form in which nft(8) loads it from a saved ruleset.
func TestHooksLoadedByNFTAreRemoved(t *testing.T) {
	tables, err := Open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	h := world.New(t).Host("gw")
	c := layout(false, 0x1f00, 2, ethernet)
	apply(t, h, tables.NFT, c)
	h.Run("nft", "flush chain ip mangle POSTROUTING; add rule ip mangle POSTROUTING ct status & assured == 0 ct direction reply counter jump "+marks.Post)
	h.Run("nft", "insert rule ip mangle POSTROUTING meta mark vmap { 1 : return }")
	if state := read(t, h, tables.NFT).Hooks[marks.Hooks[2]]; !state.NativeNFT {
		t.Errorf("the hook is %+v", state)
	}
	apply(t, h, tables.NFT, removal(c))
	if r := read(t, h, tables.NFT); len(r.Chains)+len(r.Hooks) != 0 {
		t.Errorf("left behind: %v", r)
	}
	if left := h.Run("nft", "list table ip mangle"); !strings.Contains(left, "vmap") {
		t.Errorf("the foreign rule is gone:\n%s", left)
	}
}

func TestChainWithAForeignJumpIsKeptAndTheRestIsApplied(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		c := layout(table.ipv6(), 0x1f00, 2, ethernet)
		apply(t, h, table, c)
		h.Run(table.path, "-t", "mangle", "-A", "FORWARD", "-j", marks.Pre)
		var err error
		h.Do(func() { err = table.Apply(t.Context(), removal(c)) })
		if !errors.Is(err, ErrReferenced) {
			t.Errorf("got %v, want %v", err, ErrReferenced)
		}
		r := read(t, h, table)
		if len(r.Hooks) != 0 || len(r.Chains[marks.Pre].Rules) != 0 {
			t.Errorf("not applied: %v", r)
		}
	})
}

func TestForeignRuleInAnOwnChainReadsAsOpaque(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		apply(t, h, table, layout(table.ipv6(), 0x1f00, 2, ethernet))
		h.Run(table.path, "-t", "mangle", "-A", marks.Out, "-p", "sctp", "-j", "RETURN")
		rules := read(t, h, table).Chains[marks.Out].Rules
		if len(rules) != 3 || rules[2] != (marks.Rule{Opaque: "-p sctp -j RETURN"}) {
			t.Errorf("got %+v", rules)
		}
	})
}

// A rule is inserted at its place. A chain without such a place is left alone.
func TestRuleThatAChainLacksIsInserted(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		all := layout(table.ipv6(), 0x1f00, 3, ethernet)
		apply(t, h, table, all)
		at := slices.IndexFunc(all.Chains, func(c marks.ChainChange) bool { return len(c.Rules) > 2 })
		chain := all.Chains[at]
		chain.Create = false
		for added := 1; added <= len(chain.Rules); added++ {
			lacking := marks.ChainChange{Name: chain.Name, Rules: slices.Delete(slices.Clone(chain.Rules), added-1, added)}
			apply(t, h, table, marks.Change{Chains: []marks.ChainChange{lacking}})
			chain.Added = marks.AddedRule(lacking.Rules, chain.Rules)
			apply(t, h, table, marks.Change{Chains: []marks.ChainChange{chain}})
			if got := read(t, h, table).Chains[chain.Name]; !got.Equal(marks.ChainRules{Rules: chain.Rules}) {
				t.Errorf("after the insertion of rule %d:\n%v\nwant\n%v", added, got.Rules, chain.Rules)
			}
		}
		apply(t, h, table, marks.Change{Chains: []marks.ChainChange{{Name: chain.Name}}})
		chain.Added = len(chain.Rules)
		h.Do(func() {
			if err := table.Apply(t.Context(), marks.Change{Chains: []marks.ChainChange{chain}}); err == nil {
				t.Error("a rule is inserted into an empty chain, behind others")
			}
		})
		if got := read(t, h, table).Chains[chain.Name]; len(got.Rules) > 0 {
			t.Errorf("the chain has %v", got.Rules)
		}
	})
}
