package config

import (
	"fmt"

	"replypath/health"
)

// fileProbe is a probe as written.
type fileProbe struct {
	name   string
	target *stringValue
	timing fileTiming
	status *statusCodes
	body   *stringValue
}

// asProbe reads the table of one probe.
func (v value) asProbe(name string) fileProbe {
	t, ok := v.asTable()
	if !ok {
		v.addTypeMistake("a table", `{ target = "icmp://203.0.113.9" }`)
		return fileProbe{name: name}
	}
	if message, remedy := checkName("probe", name); message != "" {
		t.src.addMistake(v.keyRange(), message, remedy)
	}
	t.rejectUnknownKeys(probeKeys)
	if _, ok := t.keys["target"]; !ok {
		t.src.addMistake(v.keyRange(), fmt.Sprintf("probe %q has no target", name), "add target = "+probeKeys.example("target"))
	}
	return fileProbe{
		name:   name,
		target: t.stringAt("target", probeKeys),
		timing: t.timingAt(probeKeys),
		status: t.statusAt("status", probeKeys),
		body:   t.stringAt("body", probeKeys),
	}
}

// resolve checks one probe. Keys that it does not set are those of defaults.
func (p fileProbe) resolve(defaults health.Probe) health.Probe {
	b := p.timing.resolve(defaults)
	b.Name = p.name
	if p.target == nil {
		return b
	}
	target, message, remedy := parseTarget(p.target.val)
	if message != "" {
		p.target.addMistake(remedy, "target %q %s", p.target.val, message)
		return b
	}
	b.Target = p.expectResponse(target)
	return b
}

// expectResponse adds the expected status and body to an HTTP target.
func (p fileProbe) expectResponse(t health.Target) health.Target {
	const remedy = "remove it, or use an http:// or https:// target"
	web := t.Kind == health.HTTP
	if web {
		t.Status = health.StatusCodes{First: 200, Last: 399}
	}
	switch {
	case p.status == nil:
	case !web:
		p.status.addMistake(remedy, "a probe of kind %q has no status", t.Kind)
	default:
		t.Status = p.status.resolve(t.Status)
	}
	switch {
	case p.body == nil:
	case !web:
		p.body.addMistake(remedy, "a probe of kind %q has no body", t.Kind)
	default:
		t.Body = p.body.val
	}
	return t
}

// statusCodes is a range of HTTP status codes as written: one code, or the first and the last.
type statusCodes struct {
	value
	first, last intValue
}

// statusAt returns the status code or the pair of them at the key.
func (t table) statusAt(key string, known keys) *statusCodes {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	if one, ok := v.raw.(int64); ok {
		return &statusCodes{v, intValue{v, one}, intValue{v, one}}
	}
	both, ok := v.asPair("an integer or a list of two", known)
	if !ok {
		return nil
	}
	first, last := both[0].asInt(known), both[1].asInt(known)
	if first == nil || last == nil {
		return nil
	}
	return &statusCodes{v, *first, *last}
}

func (c statusCodes) resolve(defaults health.StatusCodes) health.StatusCodes {
	first := inBounds(&c.first, defaults.First, 100, 599, "the range of HTTP status codes")
	if c.last.element < 0 {
		return health.StatusCodes{First: first, Last: first}
	}
	last := inBounds(&c.last, defaults.Last, 100, 599, "the range of HTTP status codes")
	if c.last.val < c.first.val {
		c.addMistake("write the smaller one first", "status ends before it begins: %d is below %d", c.last.val, c.first.val)
	}
	return health.StatusCodes{First: first, Last: last}
}
