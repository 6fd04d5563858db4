package config

import (
	"fmt"
	"slices"
	"strings"
)

// key is a key that a table may have, and an example of its value.
type key struct{ name, example string }

type keys []key

var (
	topKeys = keys{
		{"mask", "0x1f00"},
		{"priority", "2000"},
		{"table_base", "8200"},
		{"link_group", "8200"},
		{"backend", `"auto"`},
		{"inside", `["lan0"]`},
		{"uplinks", `{ fibre = { id = 1, gateway = "auto" } }, or as [uplinks.fibre]`},
	}
	uplinkKeys = keys{
		{"id", "1"},
		{"interface", `"eth0"`},
		{"gateway", `"198.51.100.1", or ["198.51.100.1", "2001:db8::1"], or "auto"`},
		{"when_down", `"hold"`},
		{"probes", `{ dns = { target = "icmp://203.0.113.9" } }, or as [uplinks.NAME.probes.dns]`},
	}
	probeKeys = keys{
		{"target", `"icmp://203.0.113.9"`},
	}
)

func (ks keys) has(name string) bool {
	return slices.ContainsFunc(ks, func(k key) bool { return k.name == name })
}

func (ks keys) example(name string) string {
	return ks[slices.IndexFunc(ks, func(k key) bool { return k.name == name })].example
}

func (ks keys) String() string {
	names := make([]string, len(ks))
	for i, k := range ks {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

// unknown remembers the keys of the table that are not among those known. The library would take them in another
// case than written, which is why it is not asked.
func (t table) unknown(known keys) {
	for _, name := range t.names() {
		if known.has(name) {
			continue
		}
		v, _ := t.value(name)
		t.src.wrong(v.keyPlace(), fmt.Sprintf("unknown key %q", name), known.remedy(name, t))
	}
}

// remedy says which key may have been meant.
func (ks keys) remedy(name string, t table) string {
	if near, ok := ks.nearest(name); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	there := "the keys here are " + ks.String()
	switch {
	case t.parent == nil && t.src.name != "" && name == "uplinks":
		return "leave the table out: the uplink's keys stand at the top of its own file; " + there
	case (t.parent != nil || t.src.name != "") && topKeys.has(name):
		return "it belongs at the top of the main file; " + there
	case t.parent == nil && uplinkKeys.has(name):
		return "it belongs in a table [uplinks.NAME]; " + there
	}
	return there
}

// nearest is the key that differs from the name in case only, or else in the fewest letters, at most two.
func (ks keys) nearest(name string) (near string, ok bool) {
	best := 3
	for _, k := range ks {
		d := distance(strings.ToLower(name), k.name)
		// A short key is not "near" when nothing of it is left.
		if d < best && d < len(k.name) {
			best, near = d, k.name
		}
	}
	return near, near != ""
}

// distance is how many letters must be added, dropped or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
