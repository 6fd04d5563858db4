package config

import (
	"fmt"

	"replypath/health"
)

// fileProbe is a probe as written.
type fileProbe struct {
	name   string
	target *text
	timing fileTiming
	status *codes
	body   *text
}

// probe reads one probe's table.
func (v value) probe(name string) fileProbe {
	t, ok := v.table()
	if !ok {
		v.misfit("a table", `{ target = "icmp://203.0.113.9" }`)
		return fileProbe{name: name}
	}
	if message, remedy := checkName("probe", name); message != "" {
		t.src.wrong(v.keyPlace(), message, remedy)
	}
	t.unknown(probeKeys)
	if _, ok := t.keys["target"]; !ok {
		t.src.wrong(v.keyPlace(), fmt.Sprintf("probe %q has no target", name), "add target = "+probeKeys.example("target"))
	}
	return fileProbe{
		name:   name,
		target: t.text("target", probeKeys),
		timing: t.timing(probeKeys),
		status: t.codes("status", probeKeys),
		body:   t.text("body", probeKeys),
	}
}

// believe checks one probe. usual is what it does not say itself.
func (p fileProbe) believe(usual health.Probe) health.Probe {
	b := p.timing.believe(usual)
	b.Name = p.name
	if p.target == nil {
		return b
	}
	target, message, remedy := parseTarget(p.target.is)
	if message != "" {
		p.target.wrong(remedy, "target %q %s", p.target.is, message)
		return b
	}
	b.Target = p.answer(target)
	return b
}

// answer completes the target with what a good answer is.
func (p fileProbe) answer(t health.Target) health.Target {
	const remedy = "leave it out, or ask an http:// or https:// target"
	web := t.Kind == health.HTTP
	if web {
		t.Status = health.Codes{First: 200, Last: 399}
	}
	switch {
	case p.status == nil:
	case !web:
		p.status.wrong(remedy, "a probe of kind %q gets no status", t.Kind)
	default:
		t.Status = p.status.believe(t.Status)
	}
	switch {
	case p.body == nil:
	case !web:
		p.body.wrong(remedy, "a probe of kind %q gets no body", t.Kind)
	default:
		t.Body = p.body.is
	}
	return t
}

// codes are the HTTP status codes as written: one, or the first and the last of them.
type codes struct {
	value
	first, last number
}

// codes is the status or the list of two that the key stands for.
func (t table) codes(key string, known keys) *codes {
	v, ok := t.value(key)
	if !ok {
		return nil
	}
	if one, ok := v.is.(int64); ok {
		return &codes{v, number{v, one}, number{v, one}}
	}
	both, ok := v.two("an integer or a list of two", known)
	if !ok {
		return nil
	}
	first, last := both[0].number(known), both[1].number(known)
	if first == nil || last == nil {
		return nil
	}
	return &codes{v, *first, *last}
}

func (c codes) believe(usual health.Codes) health.Codes {
	first := within(&c.first, usual.First, 100, 599, "HTTP has no others")
	if c.last.element < 0 {
		return health.Codes{First: first, Last: first}
	}
	last := within(&c.last, usual.Last, 100, 599, "HTTP has no others")
	if c.last.is < c.first.is {
		c.wrong("write the smaller one first", "status ends before it begins: %d is below %d", c.last.is, c.first.is)
	}
	return health.Codes{First: first, Last: last}
}
