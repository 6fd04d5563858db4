package main

import "fmt"

// requirements returns what must hold of packets.
func (p *packets) requirements() (requirements []requirement) {
	least, most := p.run.extremes()
	add := func(figure sample, bound float64, format string, args ...any) {
		if p.run.focused && len(figure) == 0 {
			return
		}
		requirements = append(requirements, requirement{name: fmt.Sprintf(format, args...), figure: figure, bound: bound})
	}
	for _, b := range ourBackends {
		name := ours[b].name
		for _, f := range families {
			for _, w := range []path{reply, local} {
				many := p.work(w.name, name, most, f)
				add(many.over(p.work(w.name, name, least, f)), 1.15, "%s, %s, %s: %d over %d uplinks", w.label, f, b, most, least)
				add(many.over(p.work(w.name, floor, most, f)), 1.4, "%s, %s, %s: %d uplinks over one ip rule", w.label, f, b, most)
			}
			many := p.work(first.name, name, most, f)
			add(many.over(p.work(first.name, name, least, f)), 1.6, "%s, %s, %s: %d over %d uplinks", first.label, f, b, most, least)
		}
	}
	for _, b := range backends {
		requirements = append(requirements, p.cheaper(blog[b], b)...)
		requirements = append(requirements, p.cheaper(shore[b], b)...)
	}
	requirements = append(requirements, p.cheaper(blog["legacy"], native)...)
	return append(requirements, p.interceptionRequirements()...)
}

// cheaper claims how much cheaper than others an established reply is, with the most uplinks.
func (p *packets) cheaper(than variant, backend string) (requirements []requirement) {
	bound := map[string]float64{"legacy": 2.5, "nft": 8, native: 2.5}[backend]
	_, most := p.run.extremes()
	for _, f := range families {
		theirs := p.work(reply.name, than.name, most, f)
		if len(theirs) == 0 {
			continue
		}
		requirements = append(requirements, requirement{
			name:   fmt.Sprintf("%s, %s: %s over %s, %d uplinks", reply.label, f, than.name, ours[backend].name, most),
			figure: theirs.over(p.work(reply.name, ours[backend].name, most, f)),
			bound:  bound, least: true,
		})
	}
	return requirements
}
