package main

import (
	"fmt"
	"slices"
)

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

// cheaper claims how much cheaper than others an established reply is, with as many uplinks as they can have.
func (p *packets) cheaper(than variant, backend string) (claims []claim) {
	bound := map[string]float64{"legacy": 2.5, "nft": 8}[backend]
	for _, f := range families {
		for _, n := range slices.Backward(p.run.uplinks) {
			theirs, measured := p.cost[packetKey{reply.name, than.name, n, f}]
			if !measured {
				continue
			}
			injected := p.cost[packetKey{reply.name, alone, 2, f}].median()
			claims = append(claims, claim{
				what:   fmt.Sprintf("%s, %s: %s over replypath, %d uplinks", reply.label, f, than.name, n),
				figure: theirs.less(injected).over(p.work(reply.name, ours[backend].name, n, f)),
				bound:  bound, least: true,
			})
			break
		}
	}
	return claims
}
