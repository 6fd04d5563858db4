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
	o := marks.Outbound{Mask: 0x1f00, Flag: 0x2000, Group: 8200, Buckets: []marks.Mark{0x1000, 0x1100, 0x1200}, Masquerade: true}
	for id := 1; id <= n; id++ {
		o.Egress = append(o.Egress, marks.Egress{Link: ethernet(id), Mark: o.Mask.Mark(marks.ID(id)), Sources: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf(source, id))}})
	}
	for _, chain := range o.Chains() {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
	}
	for _, h := range o.Hooks() {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
	}
	return c
}

// The chains read back from the kernel equal those written, in both tables, beside the operator's own address translation.
func TestOutboundChainsReadBack(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		h.Run(table.path, strings.Fields("-t nat -A POSTROUTING -o lo -j MASQUERADE")...)
		apply(t, h, table, layout(0x1f00, 2, ethernet))
		change := outboundChange(table.ipv6(), 17)
		apply(t, h, table, change)
		if !compareMangle(t, h, table) {
			t.Error("the rules cannot be decoded completely")
		}
		h.Do(func() {
			got, err := table.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range change.Chains {
				if !got.Chains[c.Name].Equal(marks.ChainRules{Rules: c.Rules}) {
					t.Errorf("chain %s:\n%v, want\n%v", c.Name, got.Chains[c.Name], c.Rules)
				}
			}
			for _, hook := range change.Hooks {
				if got.Hooks[hook.Hook] != (marks.HookState{Count: 1, Reachable: true}) {
					t.Errorf("hook %v: %+v", hook.Hook, got.Hooks[hook.Hook])
				}
			}
		})
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
		var c marks.Change
		for _, chain := range o.Chains() {
			c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
		}
		apply(t, h, table, c)
		if !compareMangle(t, h, table) {
			t.Error("the rules cannot be decoded completely")
		}
		h.Do(func() {
			got, err := table.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, chain := range o.Chains() {
				if !got.Chains[chain.Name].Equal(marks.ChainRules{Rules: chain.Rules}) {
					t.Errorf("chain %s:\n%v, want\n%v", chain.Name, got.Chains[chain.Name], chain.Rules)
				}
			}
		})
	})
}
