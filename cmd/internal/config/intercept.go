package config

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// allUplinks stands for all uplinks in from, allPorts for all ports in ports.
const (
	allUplinks = "uplinks"
	allPorts   = "all"
)

// fileInterception is the table [intercept] as written; the zero value: there is none.
type fileInterception struct {
	header     *value
	bit        *intValue
	wayBack    bool // key "return"
	intercepts []fileIntercept
}

// fileIntercept is one table [intercept.NAME] as written.
type fileIntercept struct {
	name           string
	header         value
	from, protocol []stringValue
	ports          []value
	allPorts       bool
	sources, to    []stringValue
	proxy          *value
	without, check *stringValue
	links          []string // of from, resolved
	fromUplink     bool     // one of the links is an uplink's
	resolved       uplinks.Intercept
	valid          bool // without a mistake of its own
}

// asInterception reads the table [intercept]. A key whose value is a table is an intercept.
func (v value) asInterception() fileInterception {
	t, ok := v.asTable()
	if !ok {
		v.addTypeMistake("a table", topKeys.example("intercept"))
		return fileInterception{}
	}
	f := fileInterception{header: &v, bit: t.intAt("bit", interceptionKeys), wayBack: t.boolAt("return", interceptionKeys)}
	for _, name := range t.keyNames() {
		v, ok := t.valueAt(name)
		below, isTable := v.asTable()
		switch {
		case !ok || interceptionKeys.has(name):
		case isTable:
			f.intercepts = append(f.intercepts, below.asIntercept(name, v))
		default:
			t.src.addMistake(v.keyRange(), fmt.Sprintf("unknown key %q", name), interceptionKeys.remedy(name, t)+", and tables [intercept.NAME]")
		}
	}
	order := t.src.tableOrder("intercept")
	slices.SortFunc(f.intercepts, func(a, b fileIntercept) int { return order[a.name] - order[b.name] })
	return f
}

// asIntercept reads the keys of one intercept.
func (t table) asIntercept(name string, head value) fileIntercept {
	t.rejectUnknownKeys(interceptKeys)
	f := fileIntercept{
		name: name, header: head,
		from:     t.stringOrStringsAt("from", interceptKeys),
		protocol: t.stringOrStringsAt("protocol", interceptKeys),
		sources:  t.stringOrOptionalStringsAt("sources", interceptKeys),
		to:       t.stringOrOptionalStringsAt("to", interceptKeys),
		without:  t.stringAt("without", interceptKeys),
		check:    t.stringAt("check", interceptKeys),
	}
	if message, remedy := checkName("intercept", name); message != "" {
		t.src.addMistake(head.keyRange(), message, remedy)
	}
	for _, required := range []string{"from", "ports", "proxy"} {
		if _, ok := t.keys[required]; !ok {
			t.src.addMistake(head.keyRange(), fmt.Sprintf("intercept %q has no %s", name, required),
				fmt.Sprintf("add %s = %s", required, interceptKeys.example(required)))
		}
	}
	if v, ok := t.valueAt("proxy"); ok {
		f.proxy = &v
	}
	f.ports, f.allPorts = t.portsAt("ports")
	return f
}

// portsAt returns the elements of a list of ports, or its only one. all reports that it is "all".
func (t table) portsAt(key string) (ports []value, all bool) {
	v, ok := t.valueAt(key)
	if !ok {
		return nil, false
	}
	elements, isList := v.raw.([]any)
	_, isInt := v.raw.(int64)
	text, isString := v.raw.(string)
	switch {
	case text == allPorts:
		return nil, true
	case isInt || isString:
		return []value{v}, false
	case !isList:
		v.addTypeMistake("a port, or a list of ports and ranges", interceptKeys.example(key)+`, or "all"`)
	case len(elements) == 0:
		v.addMistake("write "+key+" = "+interceptKeys.example(key)+`, or "all"`, "%s is an empty list", key)
	}
	for i, element := range elements {
		at := v
		at.element, at.raw = i, element
		ports = append(ports, at)
	}
	return ports, false
}

// interception sets the interception of the main file.
func (c *Config) interception(f fileInterception, ups []fileUplink) {
	if f.header == nil {
		return
	}
	if len(f.intercepts) == 0 && !f.wayBack {
		c.interceptBit(f, &uplinks.Interception{})
		return
	}
	in := &uplinks.Interception{Bit: uplinks.DefaultInterceptBit}
	c.interceptBit(f, in)
	for i := range f.intercepts {
		f.intercepts[i].resolve(ups)
		f.intercepts[i].checkOpenProxy()
		f.intercepts[i].checkDistinct(f.intercepts[:i])
		in.Intercepts = append(in.Intercepts, f.intercepts[i].resolved)
	}
	slices.SortFunc(in.Intercepts, func(a, b uplinks.Intercept) int { return strings.Compare(a.Name, b.Name) })
	if c.Priority <= uplinks.InterceptPriorities {
		f.header.in.src.addMistake(f.header.keyRange(), fmt.Sprintf("interception needs %d rule priorities before priority = %d", uplinks.InterceptPriorities, c.Priority),
			fmt.Sprintf("set priority = %d or larger", uplinks.InterceptPriorities+1))
	}
	c.Interception, c.Health.Interception = in, in
}

// interceptBit sets the bit, which no uplink's mark may have.
func (c *Config) interceptBit(f fileInterception, in *uplinks.Interception) {
	const remedy = "use one bit that no program on this host uses, such as 0x10"
	switch n := f.bit; {
	case n == nil && c.Mask&in.Bit != 0:
		f.header.in.src.addMistake(f.header.keyRange(), fmt.Sprintf("the default bit %s is in the mask %s", in.Bit, c.Mask), "add bit = a bit outside the mask")
	case n == nil:
	case n.val <= 0 || n.val > math.MaxUint32 || bits.OnesCount64(uint64(n.val)) != 1:
		n.addMistake(remedy, "bit %#x is not one bit of 32", n.val)
	case c.Mask&marks.Mask(n.val) != 0:
		n.addMistake(remedy, "bit %#x is in the mask %s, which the uplinks' marks use", n.val, c.Mask)
	default:
		in.Bit = marks.Mask(n.val)
	}
}

// checkOpenProxy reports an intercept that takes more from the Internet than can be meant.
func (f *fileIntercept) checkOpenProxy() {
	in := f.resolved
	if !f.fromUplink || len(in.To.In) > 0 || !f.valid {
		return
	}
	at := f.header.keyRange()
	switch {
	case f.allPorts:
		f.header.in.src.addMistake(at, fmt.Sprintf("intercept %q takes all ports from uplinks, those of this host's services too", f.name),
			`name the ports, or add to = ["192.0.2.9/32"] with the addresses that are intercepted`)
	case slices.ContainsFunc(in.Ports, func(r marks.PortRange) bool { return r.First <= in.Port && in.Port <= r.Last }):
		f.header.in.src.addMistake(at, fmt.Sprintf("intercept %q takes the proxy's own port %d from uplinks: every client on the Internet could use the proxy", f.name, in.Port),
			"leave the port out of ports, or let the proxy listen on another one")
	}
}

// checkDistinct reports an earlier intercept that takes the same packets.
func (f *fileIntercept) checkDistinct(earlier []fileIntercept) {
	for _, e := range earlier {
		shared := slices.IndexFunc(f.links, func(l string) bool { return slices.Contains(e.links, l) })
		if shared < 0 || !f.valid || !e.valid || e.resolved.NarrowedUnlike(f.resolved) {
			continue
		}
		for _, proto := range f.resolved.Protocols {
			if port, both := sharedPort(f.resolved.Ports, e.resolved.Ports); both && slices.Contains(e.resolved.Protocols, proto) {
				f.header.in.src.addMistake(f.header.keyRange(), fmt.Sprintf("intercepts %q and %q both take %s from %s%s (%s)", f.name, e.name, proto, f.links[shared], port, e.header.location()),
					"tell them apart by ports, sources or to")
				return
			}
		}
	}
}

// sharedPort returns a port that is in both lists, for a sentence. No ports means all.
func sharedPort(a, b []marks.PortRange) (port string, ok bool) {
	if len(a) == 0 && len(b) == 0 {
		return ", on all ports", true
	}
	every := []marks.PortRange{{First: 1, Last: math.MaxUint16}}
	if len(a) == 0 {
		a = every
	}
	if len(b) == 0 {
		b = every
	}
	for _, x := range a {
		for _, y := range b {
			if first := max(x.First, y.First); first <= min(x.Last, y.Last) {
				return " on port " + strconv.Itoa(int(first)), true
			}
		}
	}
	return "", false
}
