package config

import (
	"cmp"
	"fmt"
	"slices"
)

// fileTop is the top of a file as written. What is nil was not written, or was of the wrong type, which is told by then.
type fileTop struct {
	mask, priority, tableBase, linkGroup *number
	backend                              *text
	inside, prove, onChange              []text
	probes                               fileTiming
	otherwise                            *text
	endpoint                             fileEndpoint
	proof                                fileProving
}

// fileUplink is an uplink as written.
type fileUplink struct {
	name     string
	src      *source
	head     *value // the table; nil when it is a whole file
	id       *number
	link     *text // the key "interface"
	gateway  []text
	whenDown *text
	quorum   *number
	probes   []fileProbe
}

// written reads what the file says, without judging the values. It is not ok when the file is not TOML.
func (s *source) written() (top fileTop, ups []fileUplink, ok bool) {
	if !s.parse() {
		return fileTop{}, nil, false
	}
	if s.name != "" {
		return fileTop{}, []fileUplink{s.root().uplink(s.name, nil)}, true
	}
	t := s.root()
	t.unknown(topKeys)
	probes := t.below("probes", probesKeys)
	top = fileTop{
		mask:      t.number("mask", topKeys),
		priority:  t.number("priority", topKeys),
		tableBase: t.number("table_base", topKeys),
		linkGroup: t.number("link_group", topKeys),
		backend:   t.text("backend", topKeys),
		inside:    t.list("inside", topKeys),
		prove:     t.list("prove", topKeys),
		onChange:  t.list("on_change", topKeys),
		probes:    probes.timing(probesKeys),
		otherwise: probes.text("otherwise", probesKeys),
		endpoint:  t.below("endpoint", endpointKeys).endpoint(),
		proof:     t.below("proof", proofKeys).proving(),
	}
	for name, v := range t.tables("uplinks", topKeys) {
		if below, ok := v.table(); ok {
			ups = append(ups, below.uplink(name, &v))
			continue
		}
		v.misfit("a table", `{ id = 1, gateway = "auto" }, or as [uplinks.NAME]`)
	}
	// Of two that share something the second is in the wrong, and second is what stands below.
	order := s.order()
	slices.SortFunc(ups, func(a, b fileUplink) int { return cmp.Compare(order[a.name], order[b.name]) })
	return top, ups, true
}

// order is which uplink stands above which.
func (s *source) order() map[string]int {
	order := map[string]int{}
	for i, key := range s.meta.Keys() {
		if len(key) < 2 || key[0] != "uplinks" {
			continue
		}
		if _, seen := order[key[1]]; !seen {
			order[key[1]] = i
		}
	}
	return order
}

// uplink reads one uplink's table.
func (t table) uplink(name string, head *value) fileUplink {
	t.unknown(uplinkKeys)
	u := fileUplink{
		name:     name,
		src:      t.src,
		head:     head,
		id:       t.number("id", uplinkKeys),
		link:     t.text("interface", uplinkKeys),
		gateway:  t.textOrList("gateway", uplinkKeys),
		whenDown: t.text("when_down", uplinkKeys),
		quorum:   t.number("quorum", uplinkKeys),
	}
	u.wrongName(checkName("uplink", name))
	for _, required := range []string{"id", "gateway"} {
		if _, ok := t.keys[required]; !ok {
			t.src.wrong(u.place(), fmt.Sprintf("uplink %q has no %s", name, required),
				fmt.Sprintf("add %s = %s", required, uplinkKeys.example(required)))
		}
	}
	for name, v := range t.tables("probes", uplinkKeys) {
		u.probes = append(u.probes, v.probe(name))
	}
	return u
}

// place is where the uplink's name stands, or the top of its own file.
func (u fileUplink) place() place {
	if u.head == nil {
		return place{}
	}
	return u.head.keyPlace()
}

// where names the uplink's place for a mistake that stands elsewhere.
func (u fileUplink) where() string { return fmt.Sprintf("%s:%d", u.src.path, u.src.line(u.place())) }
