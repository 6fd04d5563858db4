package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// intercepting are the gateways of replypath that intercept other connections than those that are measured.
var intercepting = perBackend(variant{name: "replypath with [intercept]"}, (*gateway).withIntercepts, ourBackends)

// interceptedPort is the port of no packet that is measured.
const interceptedPort = 9

// withIntercepts sets the gateway up with transparent proxies for what comes in by any link.
func (g *gateway) withIntercepts(backend string) {
	g.withReplypath(backend)
	text, err := os.ReadFile(g.file())
	must(err, "%s: configuration", g.name)
	for i, from := range []string{"uplinks", g.inner.Name} {
		text = fmt.Appendf(text, "[intercept.bench%d]\nfrom = %q\nprotocol = [\"tcp\", \"udp\"]\nports = %d\nproxy = 50080\n", i, from, interceptedPort)
	}
	must(os.WriteFile(g.file(), text, 0o644), "%s: configuration", g.name)
	c := g.host.Command(context.Background(), measured, "apply", "--config", g.file(), "--state", strings.TrimSuffix(g.file(), "replypath.toml")+"state")
	c.Stderr = os.Stderr
	must(c.Run(), "%s: replypath apply", g.name)
}

// beside are the paths whose packets are not intercepted and belong to connections that are established. Those of outbound get no
// reply, so each of them begins a connection.
var beside = []path{reply, original, local}

// interception returns what a packet that is not intercepted costs with [intercept], over what it costs without.
func (p *packets) interception(w path, backend string, f family) sample {
	least, _ := p.run.extremes()
	return p.work(w.name, intercepting[backend].name, least, f).over(p.work(w.name, ours[backend].name, least, f))
}

// interceptionTable returns that for all paths.
func (p *packets) interceptionTable() *table {
	least, _ := p.run.extremes()
	t := &table{title: fmt.Sprintf("CPU time of a packet that is not intercepted, with [intercept] over without, %d uplinks", least), columns: []string{"path"}}
	for _, b := range ourBackends {
		for _, f := range families {
			t.columns = append(t.columns, fmt.Sprintf("%s, %s", b, f))
		}
	}
	for _, w := range beside {
		if !p.run.measures(w) {
			continue
		}
		row := []string{w.label}
		for _, b := range ourBackends {
			for _, f := range families {
				row = append(row, p.interception(w, b, f).String())
			}
		}
		t.add(row...)
	}
	return t
}

// interceptionBound is what one comparison may add to a packet.
const interceptionBound = 1.25

// interceptionRequirements returns what must hold of packets that are not intercepted.
func (p *packets) interceptionRequirements() (requirements []requirement) {
	for _, b := range ourBackends {
		for _, f := range families {
			for _, w := range beside {
				if figure := p.interception(w, b, f); len(figure) > 0 {
					requirements = append(requirements, requirement{name: fmt.Sprintf("%s, %s, %s: not intercepted, with [intercept] over without", w.label, f, b), figure: figure, bound: interceptionBound})
				}
			}
		}
	}
	return requirements
}
