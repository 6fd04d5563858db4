package main

import "fmt"

// claims are what must hold of packets.
func (p *packets) claims() (claims []claim) {
	least, most := p.run.extremes()
	add := func(figure sample, bound float64, format string, args ...any) {
		if p.run.focused && len(figure) == 0 {
			return
		}
		claims = append(claims, claim{what: fmt.Sprintf(format, args...), figure: figure, bound: bound})
	}
	for _, b := range backends {
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
		claims = append(claims, p.cheaper(blog[b], b)...)
		claims = append(claims, p.cheaper(shore[b], b)...)
	}
	return claims
}

// cheaper claims how much cheaper than others an established reply is, with the most uplinks.
func (p *packets) cheaper(than variant, backend string) (claims []claim) {
	bound := map[string]float64{"legacy": 2.5, "nft": 8}[backend]
	_, most := p.run.extremes()
	for _, f := range families {
		theirs := p.work(reply.name, than.name, most, f)
		if len(theirs) == 0 {
			continue
		}
		claims = append(claims, claim{
			what:   fmt.Sprintf("%s, %s: %s over replypath, %d uplinks", reply.label, f, than.name, most),
			figure: theirs.over(p.work(reply.name, ours[backend].name, most, f)),
			bound:  bound, least: true,
		})
	}
	return claims
}
