package xtables

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

// compare reads the table as the kernel holds it and as iptables prints it, and tells whether all of it could be told
// without iptables.
func compare(t *testing.T, h *world.Host, table *Table) (whole bool) {
	t.Helper()
	h.Do(func() {
		now, err := table.look()
		if err != nil || now.garbled {
			t.Fatal(err, now.garbled)
		}
		var held, printed Contents
		held, whole = contents(now.table)
		if !whole {
			return
		}
		if printed, err = table.list(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(printed.Chains)) {
			if held.Chains[name] != printed.Chains[name] {
				t.Errorf("chain %s is held as\n%sand printed as\n%s", name, held.Chains[name], printed.Chains[name])
			}
		}
		if !reflect.DeepEqual(held, printed) {
			t.Errorf("held:\n%v\nprinted:\n%v", held, printed)
		}
	})
	return whole
}

// laid is the lines that lay our chains out for links with ids up to n.
func laid(mask marks.Mask, n int, name func(int) string) (lines []string) {
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

func TestWhatTheKernelHoldsIsWhatIptablesPrints(t *testing.T) {
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
				load(t, h, table, laid(mask, n, name)...)
				if !compare(t, h, table) {
					t.Errorf("%d links with %s names: not all of it could be told", n, kind)
				}
			}
		}
	})
}

func TestUseIsWhatTheSaveCommandShows(t *testing.T) {
	eachTable(t, func(t *testing.T, h *world.Host, table *Table) {
		asked := func() (u Use) {
			t.Helper()
			h.Do(func() {
				got, sure, err := table.InUse(t.Context())
				saved, failed := table.Saved(t.Context())
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
			want Use
		}{
			{"-t mangle -N " + marks.Pre, Use{}},
			{"-t mangle -A PREROUTING -j " + marks.Pre, Use{Ours: true}},
			{"-t nat -P OUTPUT ACCEPT", Use{Ours: true}},
			{"-t filter -N THEIRS", Use{Ours: true}},
			{"-t filter -A THEIRS -j RETURN", Use{Ours: true, Others: true}},
			{"-t mangle -F PREROUTING", Use{Others: true}},
			{"-t mangle -A " + marks.Pre + " -i lo", Use{Ours: true, Others: true}},
			{"-t filter -F THEIRS", Use{Ours: true}},
		} {
			h.Run(table.path, strings.Fields(c.args)...)
			if got := asked(); got != c.want {
				t.Errorf("after %s: %+v, want %+v", c.args, got, c.want)
			}
		}
	})
}

// A table of nftables that iptables does not show is not sure to be of others.
func TestTablesThatIptablesDoesNotShow(t *testing.T) {
	tables, err := Open(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	h := world.New(t).Host("gw")
	h.Run("nft", "add table inet others; add chain inet others c; add rule inet others c counter; add table ip own; add chain ip own c; add rule ip own c counter")
	h.Do(func() {
		if u, sure, err := tables.NFT.InUse(t.Context()); err != nil || !sure || u != (Use{}) {
			t.Errorf("%+v, %v, %v", u, sure, err)
		}
	})
	h.Run("nft", "add table ip filter; add chain ip filter input { type filter hook input priority 0; }; add rule ip filter input counter")
	h.Do(func() {
		if u, sure, err := tables.NFT.InUse(t.Context()); err != nil || sure || !u.Others {
			t.Errorf("%+v, %v, %v", u, sure, err)
		}
		if u, err := tables.NFT.Saved(t.Context()); err != nil || u != (Use{}) {
			t.Errorf("saved: %+v, %v", u, err)
		}
	})
}
