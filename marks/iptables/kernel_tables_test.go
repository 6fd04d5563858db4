package iptables

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// eachTable runs a test on an empty table of each family and backend.
func eachTable(t *testing.T, test func(t *testing.T, h *world.Host, table *Table)) {
	for _, ipv6 := range []bool{false, true} {
		tables, err := Open(t.Context(), ipv6)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []*Table{tables.NFT, tables.Legacy} {
			t.Run(table.command, func(t *testing.T) { test(t, world.New(t).Host("gw"), table) })
		}
	}
}

// compareWithListing compares the rules that are decoded from the kernel with those that iptables lists. It reports
// whether the decoded rules are complete; incomplete ones are not compared.
func compareWithListing(t *testing.T, h *world.Host, table *Table) (complete bool) {
	t.Helper()
	h.Do(func() {
		snap, err := table.snapshot()
		if err != nil || snap.malformed {
			t.Fatal(err, snap.malformed)
		}
		var kernel, listed marks.Ruleset
		kernel, complete = ownRuleset(snap.table)
		if !complete {
			return
		}
		if listed, err = table.list(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(listed.Chains)) {
			if !kernel.Chains[name].Equal(listed.Chains[name]) {
				t.Errorf("chain %s: kernel has\n%v\niptables lists\n%v", name, kernel.Chains[name], listed.Chains[name])
			}
		}
		if !reflect.DeepEqual(kernel, listed) {
			t.Errorf("kernel:\n%v\nlisted:\n%v", kernel, listed)
		}
	})
	return complete
}

// layout returns the change that creates the chains and hooks for links with ids 1 to n.
func layout(ipv6 bool, mask marks.Mask, n int, name func(int) string) (c marks.Change) {
	var ingress []marks.Ingress
	for id := 1; id <= n; id++ {
		routers := []string{fmt.Sprintf("02:00:00:00:%02x:01", id), fmt.Sprintf("0a:bc:de:f0:%02x:02", id)}
		ingress = append(ingress, marks.Ingress{Link: name(id), Mark: mask.Mark(marks.ID(id)), Routers: routers, Tree: id > 2})
	}
	for _, chain := range marks.Chains(mask, 8200, ipv6, ingress) {
		c.Chains = append(c.Chains, marks.ChainChange{Name: chain.Name, Create: true, Rules: chain.Rules})
	}
	for _, h := range marks.Hooks {
		c.Hooks = append(c.Hooks, marks.HookChange{Hook: h, Insert: true})
	}
	return c
}

// apply applies a change, and declares further empty chains.
func apply(t *testing.T, h *world.Host, table *Table, c marks.Change, chains ...string) {
	t.Helper()
	for _, name := range chains {
		c.Chains = append(c.Chains, marks.ChainChange{Name: name, Create: true})
	}
	var err error
	h.Do(func() { err = table.Apply(t.Context(), c) })
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Restore())
	}
}

func TestKernelTableMatchesIptablesListing(t *testing.T) {
	names := map[string]func(int) string{
		"short": func(id int) string { return fmt.Sprintf("w%d", id) },
		"long":  func(id int) string { return fmt.Sprintf("enp%ds0f%d.%03d", id/100, id%7, id) },
		"odd":   func(id int) string { return fmt.Sprintf("%da@-_.", id) },
		"same":  func(id int) string { return fmt.Sprintf("w%d", id/3) },
		"one":   func(int) string { return "w0" },
	}
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		for kind, name := range names {
			for _, n := range []int{1, 2, 15, 16, 31, 255} {
				mask := marks.Mask(0xff000)
				if n == 1 {
					mask = 0xffffffff
				}
				h.Run(table.path, "-t", "mangle", "-F")
				h.Run(table.path, "-t", "mangle", "-X")
				apply(t, h, table, layout(table.ipv6(), mask, n, name))
				if !compareWithListing(t, h, table) {
					t.Errorf("%d links with %s names: the rules cannot be decoded completely", n, kind)
				}
			}
		}
	})
}

func TestOwnersMatchIptablesSave(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		check := func() (u marks.Owners) {
			t.Helper()
			h.Do(func() {
				got, certain, err := table.Owners(t.Context())
				saved, failed := table.SavedOwners(t.Context())
				if err != nil || failed != nil {
					t.Fatal(err, failed)
				}
				if got != saved || certain != (table.backend == marks.Legacy || !got.Others) {
					t.Errorf("owners: %+v, certain: %v; saved: %+v", got, certain, saved)
				}
				u = got
			})
			return u
		}
		for _, c := range []struct {
			args string
			want marks.Owners
		}{
			{"-t mangle -N " + marks.Pre, marks.Owners{}},
			{"-t mangle -A PREROUTING -j " + marks.Pre, marks.Owners{Ours: true}},
			{"-t nat -P OUTPUT ACCEPT", marks.Owners{Ours: true}},
			{"-t filter -N THEIRS", marks.Owners{Ours: true}},
			{"-t filter -A THEIRS -j RETURN", marks.Owners{Ours: true, Others: true}},
			{"-t mangle -F PREROUTING", marks.Owners{Others: true}},
			{"-t mangle -A " + marks.Pre + " -i lo", marks.Owners{Ours: true, Others: true}},
			{"-t filter -F THEIRS", marks.Owners{Ours: true}},
		} {
			h.Run(table.path, strings.Fields(c.args)...)
			if got := check(); got != c.want {
				t.Errorf("after %s: %+v, want %+v", c.args, got, c.want)
			}
		}
	})
}

// Owners is uncertain for a table of nftables that iptables does not show.
func TestOwnersOfTablesHiddenFromIptables(t *testing.T) {
	tables, err := Open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	h := world.New(t).Host("gw")
	h.Run("nft", "add table inet others; add chain inet others c; add rule inet others c counter; add table ip own; add chain ip own c; add rule ip own c counter")
	h.Do(func() {
		if u, certain, err := tables.NFT.Owners(t.Context()); err != nil || !certain || u != (marks.Owners{}) {
			t.Errorf("%+v, %v, %v", u, certain, err)
		}
	})
	h.Run("nft", "add table ip filter; add chain ip filter input { type filter hook input priority 0; }; add rule ip filter input counter")
	h.Do(func() {
		if u, certain, err := tables.NFT.Owners(t.Context()); err != nil || certain || !u.Others {
			t.Errorf("%+v, %v, %v", u, certain, err)
		}
		if u, err := tables.NFT.SavedOwners(t.Context()); err != nil || u != (marks.Owners{}) {
			t.Errorf("saved: %+v, %v", u, err)
		}
	})
}
