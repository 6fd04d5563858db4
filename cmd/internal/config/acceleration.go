package config

import (
	"slices"

	"replypath/uplinks"
)

// fileAcceleration is the key accelerate as written.
type fileAcceleration struct {
	all   bool
	links []stringValue // nil: the key is absent, or a boolean
}

// accelerationAt reads a boolean, or a list of uplinks and interfaces.
func (t table) accelerationAt(key string) (f fileAcceleration) {
	v, ok := t.valueAt(key)
	if !ok {
		return f
	}
	switch is := v.raw.(type) {
	case bool:
		f.all = is
	case []any:
		if f.links = v.asStrings(is, topKeys); len(is) == 0 {
			v.addMistake("write "+key+" = "+topKeys.example(key)+", or false", "%s is an empty list", key)
		}
	case string:
		v.addMistake("write "+key+" = "+topKeys.example(key)+": packets go by a flow table of the kernel; hardware is not asked to forward them", "%s cannot be %q", key, is)
	default:
		v.addTypeMistake("true, false, or a list of uplinks and interfaces", topKeys.example(key))
	}
	return f
}

// acceleration sets on which links established connections go by a flow table. An uplink is named by its name, another link by
// that of the interface.
func (c *Config) acceleration(f fileAcceleration, ups []fileUplink) {
	if f.all {
		c.Accelerate = &uplinks.Acceleration{All: true}
		return
	}
	var links []string
	named := false
	for i, t := range f.links {
		t.reportDuplicate(f.links[:i])
		link, isUplink := c.acceleratedLink(t, ups)
		if link != "" {
			links, named = append(links, link), named || isUplink
		}
	}
	switch {
	case len(links) == 0 || len(links) < len(f.links):
		return
	case !named:
		f.links[0].addMistake("name uplinks too, or write accelerate = true", "%s names no uplink: only connections of uplinks are accelerated", f.links[0].key)
	case len(links) == 1:
		f.links[0].addMistake("name the interfaces inside too, or write accelerate = true", "%s names one uplink alone: connections go from one link to another", f.links[0].key)
	}
	slices.Sort(links)
	c.Accelerate = &uplinks.Acceleration{Links: slices.Compact(links)}
}

// acceleratedLink returns the link that the text names, "" for a mistake.
func (c *Config) acceleratedLink(t stringValue, ups []fileUplink) (link string, isUplink bool) {
	for _, u := range ups {
		switch {
		case u.name == t.val:
			return u.interfaceName(), true
		case u.interfaceName() == t.val:
			t.addMistake("write "+`"`+u.name+`"`, "%s lists %q, the interface of uplink %q (%s)", t.key, t.val, u.name, u.location())
			return "", false
		}
	}
	if message, remedy := checkInterface(t.val); message != "" {
		t.addMistake(remedy, "%s", message)
		return "", false
	}
	return t.val, false
}
