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
			t.Run(table.Command, func(t *testing.T) { test(t, world.New(t).Host("gw"), table) })
		}
	}
}

// load has the restore command do these lines.
func load(t *testing.T, h *world.Host, table *Table, lines ...string) {
	t.Helper()
	var err error
	h.Do(func() { err = table.Load(t.Context(), "*mangle\n"+strings.Join(lines, "\n")+"\nCOMMIT\n") })
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

// compareWithListing reads the table as the kernel holds it and as iptables prints it, and tells whether all of it could be told
// without iptables.
func compareWithListing(t *testing.T, h *world.Host, table *Table) (complete bool) {
	t.Helper()
	h.Do(func() {
		snap, err := table.snapshot()
		if err != nil || snap.malformed {
			t.Fatal(err, snap.malformed)
		}
		var kernel, printed Contents
		kernel, complete = decodeContents(snap.table)
		if !complete {
			return
		}
		if printed, err = table.listContents(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(printed.Chains)) {
			if kernel.Chains[name] != printed.Chains[name] {
				t.Errorf("chain %s is held as\n%sand printed as\n%s", name, kernel.Chains[name], printed.Chains[name])
			}
		}
		if !reflect.DeepEqual(kernel, printed) {
			t.Errorf("held:\n%v\nprinted:\n%v", kernel, printed)
		}
	})
	return complete
}

// layoutLines is the lines that lay our chains out for links with ids up to n.
func layoutLines(mask marks.Mask, n int, name func(int) string) (lines []string) {
	var ingress []marks.Ingress
	for id := 1; id <= n; id++ {
		ingress = append(ingress, marks.Ingress{Link: name(id), Mark: mask.Mark(marks.ID(id))})
	}
	var rules []string
	for _, c := range marks.Chains(mask, 8200, ingress) {
		lines = append(lines, ":"+c.Name+" - [0:0]")
		for _, r := range c.Rules {
			rules = append(rules, strings.TrimSpace("-A "+c.Name+" "+r.String()))
		}
	}
	for _, h := range marks.Hooks {
		rules = append(rules, fmt.Sprintf("-I %s 1 %s", h.Builtin, h.Rule))
	}
	return append(lines, rules...)
}

func TestKernelTableMatchesIptablesListing(t *testing.T) {
	names := map[string]func(int) string{
		"short": func(id int) string { return fmt.Sprintf("w%d", id) },
		"long":  func(id int) string { return fmt.Sprintf("enp%ds0f%d.%03d", id/100, id%7, id) },
		"odd":   func(id int) string { return fmt.Sprintf("%da@-_.", id) },
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
				load(t, h, table, layoutLines(mask, n, name)...)
				if !compareWithListing(t, h, table) {
					t.Errorf("%d links with %s names: not all of it could be told", n, kind)
				}
			}
		}
	})
}

func TestOwnersMatchIptablesSave(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		check := func() (u Owners) {
			t.Helper()
			h.Do(func() {
				got, sure, err := table.Owners(t.Context())
				saved, failed := table.SavedOwners(t.Context())
				if err != nil || failed != nil {
					t.Fatal(err, failed)
				}
				if got != saved || sure != (table.Backend == marks.Legacy || !got.Others) {
					t.Errorf("in use: %+v, sure: %v; saved: %+v", got, sure, saved)
				}
				u = got
			})
			return u
		}
		for _, c := range []struct {
			args string
			want Owners
		}{
			{"-t mangle -N " + marks.Pre, Owners{}},
			{"-t mangle -A PREROUTING -j " + marks.Pre, Owners{Ours: true}},
			{"-t nat -P OUTPUT ACCEPT", Owners{Ours: true}},
			{"-t filter -N THEIRS", Owners{Ours: true}},
			{"-t filter -A THEIRS -j RETURN", Owners{Ours: true, Others: true}},
			{"-t mangle -F PREROUTING", Owners{Others: true}},
			{"-t mangle -A " + marks.Pre + " -i lo", Owners{Ours: true, Others: true}},
			{"-t filter -F THEIRS", Owners{Ours: true}},
		} {
			h.Run(table.path, strings.Fields(c.args)...)
			if got := check(); got != c.want {
				t.Errorf("after %s: %+v, want %+v", c.args, got, c.want)
			}
		}
	})
}

// A table of nftables that iptables does not show is not sure to be of others.
func TestOwnersOfTablesHiddenFromIptables(t *testing.T) {
	tables, err := Open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	h := world.New(t).Host("gw")
	h.Run("nft", "add table inet others; add chain inet others c; add rule inet others c counter; add table ip own; add chain ip own c; add rule ip own c counter")
	h.Do(func() {
		if u, sure, err := tables.NFT.Owners(t.Context()); err != nil || !sure || u != (Owners{}) {
			t.Errorf("%+v, %v, %v", u, sure, err)
		}
	})
	h.Run("nft", "add table ip filter; add chain ip filter input { type filter hook input priority 0; }; add rule ip filter input counter")
	h.Do(func() {
		if u, sure, err := tables.NFT.Owners(t.Context()); err != nil || sure || !u.Others {
			t.Errorf("%+v, %v, %v", u, sure, err)
		}
		if u, err := tables.NFT.SavedOwners(t.Context()); err != nil || u != (Owners{}) {
			t.Errorf("saved: %+v, %v", u, err)
		}
	})
}
