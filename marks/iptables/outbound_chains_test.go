package iptables

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/world"
)

// outboundChange returns the change that creates the chains of connections that begin inside, for n links.
func outboundChange(ipv6 bool, n int) (c marks.Change) {
	source := "192.0.2.%d/32"
	if ipv6 {
		source = "2001:db8::%d/128"
	}
	o := marks.Outbound{Mask: 0x1f00, Flag: 0x2000, Group: 8200, Buckets: []marks.Mark{0x1000, 0x1100, 0x1200}, Masquerade: true, IPsec: true}
	for id := 1; id <= n; id++ {
		o.Egress = append(o.Egress, marks.Egress{Link: ethernet(id), Mark: o.Mask.Mark(marks.ID(id)), Sources: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf(source, id))}})
	}
	c.Chains = createChains(o)
	for _, h := range o.Hooks() {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
	}
	return c
}

// createChains returns the changes that create the chains.
func createChains(o marks.Outbound) (all []marks.ChainChange) {
	for _, chain := range o.Chains() {
		all = append(all, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
	}
	return all
}

// wantReadBack wants the chains to be decoded completely, as they were written. It returns all that was read.
func wantReadBack(t *testing.T, h *world.Host, table *Table, chains []marks.ChainChange) (got marks.Ruleset) {
	t.Helper()
	if !compareMangle(t, h, table) {
		t.Error("the rules cannot be decoded completely")
	}
	h.Do(func() {
		var err error
		if got, err = table.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	for _, c := range chains {
		if !got.Chains[c.Name].Equal(marks.ChainRules{Rules: c.Rules}) {
			t.Errorf("chain %s:\n%v, want\n%v", c.Name, got.Chains[c.Name], c.Rules)
		}
	}
	return got
}

// The chains read back from the kernel equal those written, in both tables, beside the operator's own address translation.
func TestOutboundChainsReadBack(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		h.Run(table.path, strings.Fields("-t nat -A POSTROUTING -o lo -j MASQUERADE")...)
		apply(t, h, table, layout(table.ipv6(), 0x1f00, 2, ethernet))
		change := outboundChange(table.ipv6(), 17)
		apply(t, h, table, change)
		got := wantReadBack(t, h, table, change.Chains)
		for _, hook := range change.Hooks {
			if got.Hooks[hook.Hook] != (marks.HookState{Count: 1, Reachable: true}) {
				t.Errorf("hook %v: %+v", hook.Hook, got.Hooks[hook.Hook])
			}
		}
		remove(t, h, table, change)
		if saved := h.Run(table.path, "-t", "nat", "-S"); strings.Contains(saved, marks.Prefix) {
			t.Errorf("left in nat:\n%s", saved)
		}
	})
}

// A table that only we needed is deleted with its last rule.
func TestOutboundChainsLeaveNoTable(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		if table.backend != marks.NFT {
			return
		}
		change := outboundChange(table.ipv6(), 1)
		apply(t, h, table, change)
		remove(t, h, table, change)
		h.Do(func() {
			if there, err := table.masqNFT().Exists(); there || err != nil {
				t.Errorf("the table nat is still there: %v, %v", there, err)
			}
		})
	})
}

// compareMangle compares the decoded mangle table with what iptables lists.
func compareMangle(t *testing.T, h *world.Host, table *Table) (complete bool) {
	h.Do(func() {
		snap, err := table.snapshot()
		if err != nil {
			t.Fatal(err)
		}
		kernel, ok := ownRuleset(snap.table)
		listed, err := table.list(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, rules := range listed.Chains {
			if !kernel.Chains[name].Equal(rules) {
				t.Errorf("chain %s: kernel has\n%v\niptables lists\n%v", name, kernel.Chains[name], rules)
			}
		}
		for hook, state := range listed.Hooks {
			if kernel.Hooks[hook] != state {
				t.Errorf("hook %v: kernel %+v, listed %+v", hook, kernel.Hooks[hook], state)
			}
		}
		complete = ok
	})
	return complete
}

// remove reverts a change that created chains.
func remove(t *testing.T, h *world.Host, table *Table, c marks.Change) {
	t.Helper()
	var r marks.Change
	for _, chain := range c.Chains {
		r.Chains = append(r.Chains, marks.ChainChange{Name: chain.Name})
		r.Delete = append(r.Delete, chain.Name)
	}
	for _, hook := range c.Hooks {
		r.Hooks = append(r.Hooks, marks.HookChange{Hook: hook.Hook, Remove: 1})
	}
	apply(t, h, table, r)
}

// The share of IPv6 senders by the bits of their addresses reads back as written, and is decoded without a command.
func TestSenderBitsReadBack(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		if !table.ipv6() {
			return
		}
		o := marks.Outbound{Mask: 0x1f00, Flag: 0x2000, Group: 8200, HashBits: true}
		for n := range marks.ID(marks.HashBuckets) {
			o.Buckets = append(o.Buckets, o.Mask.Mark(16+n))
		}
		c := marks.Change{Chains: createChains(o)}
		apply(t, h, table, c)
		wantReadBack(t, h, table, c.Chains)
	})
}
