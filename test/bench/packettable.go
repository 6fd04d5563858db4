package main

import (
	"fmt"
)

// table returns what a packet costs on each path, over what it costs without rules.
func (p *packets) table(f family) *table {
	t := &table{title: fmt.Sprintf("CPU time of a packet, %s, over %s", f, p.paths.over), columns: []string{"path", "rules"}}
	for _, n := range p.run.uplinks {
		t.columns = append(t.columns, fmt.Sprintf("%d uplinks", n))
	}
	for _, w := range p.measured() {
		for _, v := range p.run.variants {
			row := []string{w.label, v.name}
			for _, n := range p.run.uplinks {
				row = append(row, p.work(w.name, v.name, n, f).over(p.work(w.name, p.paths.over, n, f)).String())
			}
			t.add(row...)
		}
	}
	return t
}

// table returns what an exchange costs with few and with many uplinks, over what it costs without rules.
func (s *sockets) table(f family) *table {
	t := &table{
		title: fmt.Sprintf("CPU time of an exchange through real sockets, %s, over no rules", f), note: "client and service included",
		columns: []string{"exchange", "rules"},
	}
	for _, n := range s.run.some {
		t.columns = append(t.columns, fmt.Sprintf("%d uplinks", n))
	}
	for _, x := range exchanges {
		for _, v := range s.run.variants {
			row := []string{x.label, v.name}
			for _, n := range s.run.some {
				row = append(row, s.cost[packetKey{x.label, v.name, n, f}].over(s.cost[packetKey{x.label, nothing, n, f}]).String())
			}
			t.add(row...)
		}
	}
	return t
}
