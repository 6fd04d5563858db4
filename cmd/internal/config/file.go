package config

import (
	"cmp"
	"fmt"
	"slices"
)

// fileMain is the main file as written. A key that is absent, or has a wrong type (which is reported by then), is nil.
type fileMain struct {
	mask, priority, tableBase, linkGroup *intValue
	backend                              *stringValue
	protect                              *boolValue
	inside, prove, onChange              []stringValue
	probes                               fileTiming
	otherwise                            *stringValue
	endpoint                             fileEndpoint
	peer                                 filePeer
	proof                                fileProof
	udp                                  fileUDP
	accelerate                           fileAcceleration
	intercept                            fileInterception
	outbound                             *fileOutbound // nil: there is no such table
}

// fileUplink is an uplink as written.
type fileUplink struct {
	name     string
	src      *source
	header   *value // nil for a file in uplinks.d
	id       *intValue
	iface    *stringValue // key "interface"
	gateway  []stringValue
	whenDown *stringValue
	vips     []stringValue
	routers  []stringValue
	macs     []stringValue // key "mac"
	quorum   *intValue
	prefixes []stringValue
	probes   []fileProbe
}

// extract reads the keys of the file without checking their values. ok is false if the file is not TOML.
func (s *source) extract() (top fileMain, ups []fileUplink, ok bool) {
	if !s.parse() {
		return fileMain{}, nil, false
	}
	if s.name != "" {
		return fileMain{}, []fileUplink{s.root().asUplink(s.name, nil)}, true
	}
	t := s.root()
	t.rejectUnknownKeys(topKeys)
	probes := t.subtable("probes", probeDefaultsKeys)
	top = fileMain{
		mask:       t.intAt("mask", topKeys),
		priority:   t.intAt("priority", topKeys),
		tableBase:  t.intAt("table_base", topKeys),
		linkGroup:  t.intAt("link_group", topKeys),
		backend:    t.stringAt("backend", topKeys),
		protect:    t.boolValueAt("protect", topKeys),
		inside:     t.stringsAt("inside", topKeys),
		prove:      t.servicesAt("prove", topKeys),
		onChange:   t.stringsAt("on_change", topKeys),
		probes:     probes.timingAt(probeDefaultsKeys),
		otherwise:  probes.stringAt("otherwise", probeDefaultsKeys),
		endpoint:   t.subtable("endpoint", endpointKeys).asEndpoint(),
		peer:       t.subtable("peer", peerKeys).asPeer(),
		proof:      t.subtable("proof", proofKeys).asProof(),
		udp:        t.subtable("udp", udpKeys).asUDP(),
		accelerate: t.accelerationAt("accelerate"),
		outbound:   t.outboundAt("outbound"),
	}
	if v, ok := t.valueAt("intercept"); ok {
		top.intercept = v.asInterception()
	}
	for name, v := range t.subtables("uplinks", topKeys) {
		if below, ok := v.asTable(); ok {
			ups = append(ups, below.asUplink(name, &v))
			continue
		}
		v.addTypeMistake("a table", `{ id = 1, gateway = "auto" }, or as [uplinks.NAME]`)
	}
	// Of two conflicting uplinks the later one in the file is reported.
	order := s.tableOrder("uplinks")
	slices.SortFunc(ups, func(a, b fileUplink) int { return cmp.Compare(order[a.name], order[b.name]) })
	return top, ups, true
}

// tableOrder returns the position in the file of each table below the path, by name.
func (s *source) tableOrder(path ...string) map[string]int {
	order := map[string]int{}
	for i, key := range s.meta.Keys() {
		n := len(path)
		if len(key) <= n || !slices.Equal(key[:n], path) {
			continue
		}
		if _, seen := order[key[n]]; !seen {
			order[key[n]] = i
		}
	}
	return order
}

// asUplink reads one uplink's table.
func (t table) asUplink(name string, head *value) fileUplink {
	t.rejectUnknownKeys(uplinkKeys)
	u := fileUplink{
		name:     name,
		src:      t.src,
		header:   head,
		id:       t.intAt("id", uplinkKeys),
		iface:    t.stringAt("interface", uplinkKeys),
		gateway:  t.stringOrStringsAt("gateway", uplinkKeys),
		whenDown: t.stringAt("when_down", uplinkKeys),
		vips:     t.stringOrOptionalStringsAt("vips", uplinkKeys),
		routers:  t.stringOrOptionalStringsAt("routers", uplinkKeys),
		macs:     t.stringOrOptionalStringsAt("mac", uplinkKeys),
		quorum:   t.intAt("quorum", uplinkKeys),
		prefixes: t.stringOrOptionalStringsAt("prefixes", uplinkKeys),
	}
	u.reportName(checkName("uplink", name))
	for _, required := range []string{"id", "gateway"} {
		if _, ok := t.keys[required]; !ok {
			t.src.addMistake(u.nameRange(), fmt.Sprintf("uplink %q has no %s", name, required),
				fmt.Sprintf("add %s = %s", required, uplinkKeys.example(required)))
		}
	}
	for name, v := range t.subtables("probes", uplinkKeys) {
		u.probes = append(u.probes, v.asProbe(name))
	}
	return u
}

// nameRange returns the position of the uplink's name, or the top of its own file.
func (u fileUplink) nameRange() textRange {
	if u.header == nil {
		return textRange{}
	}
	return u.header.keyRange()
}

// location returns "file:line" of the uplink's name, for mistakes in other places.
func (u fileUplink) location() string {
	return fmt.Sprintf("%s:%d", u.src.path, u.src.line(u.nameRange()))
}
