package main

import (
	"cmp"
	"fmt"
	"slices"
)

// chart returns what the reply of an established connection costs, over the number of uplinks.
func (p *packets) chart(f family) chart {
	c := chart{title: fmt.Sprintf("CPU time of an established reply, forwarded, %s, over no rules", f)}
	for _, v := range p.run.variants {
		if v.name == nothing {
			continue
		}
		l := chartLine{name: v.name, class: v.class, dashed: v.backend == "legacy"}
		for _, n := range p.run.uplinks {
			if s := p.work(reply.name, v.name, n, f); len(s) > 0 {
				l.points = append(l.points, chartPoint{float64(n), s.over(p.work(reply.name, nothing, n, f)).median()})
			}
		}
		c.lines = append(c.lines, l)
	}
	return c
}

// digest returns what packets cost with that many uplinks. unit names what the cost is counted in.
func (p *packets) digest(unit string, uplinks int) *table {
	t := &table{columns: []string{"path"}}
	var shown []variant
	for _, v := range p.run.variants {
		if v.name != p.paths.over {
			shown = append(shown, v)
			t.columns = append(t.columns, v.name)
		}
	}
	t.title = fmt.Sprintf("%s of a packet with %d uplinks, IPv4 / IPv6, over %s", unit, uplinks, p.paths.over)
	for _, w := range p.measured() {
		row := []string{w.label}
		for _, v := range shown {
			cell := ""
			for i, f := range families {
				if i > 0 {
					cell += " / "
				}
				cell += short(p.work(w.name, v.name, uplinks, f).over(p.work(w.name, p.paths.over, uplinks, f)).median())
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	return t
}

// sortedBy returns the order of the elements by a figure.
func sortedBy[T any](all []T, figure func(T) float64) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(figure(all[a]), figure(all[b])) })
	return order
}
