package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"replypath/test/world"
)

// control is what it costs to change what the kernel does, by rounds.
type control struct {
	run  run
	cost map[controlKey]sample // CPU time, in nanoseconds
	wall map[controlKey]sample

	faults map[controlKey]sample // page faults of programs that rounds of the service started

	programs map[controlKey]sample // that run
}

type controlKey struct {
	operation, by string
	uplinks       int
}

// Operations, and the programs that do them.
const (
	fromNothing = "from nothing"
	oneChange   = "one uplink gone and back"
	noChange    = "nothing to do"

	provenChange = "the same, until it is proven"

	byHand      = "ip -batch and iptables-restore"
	nativeHand  = "ip -batch and nft -f"
	serviceName = "replypath run"
)

// shorewallUplinks is as many as Shorewall is compared with.
const shorewallUplinks = 31

func newControl(w *world.World, r run) *control {
	c := &control{run: r, cost: map[controlKey]sample{}, wall: map[controlKey]sample{}, faults: map[controlKey]sample{},
		programs: map[controlKey]sample{}}
	for _, b := range append(slices.Clone(r.backends), native) {
		var gateways []*gateway
		for _, n := range r.changed {
			gateways = append(gateways, newGateway(w, fmt.Sprintf("control-%s-%d", b, n), n))
		}
		for range r.changes {
			for _, g := range gateways {
				c.round(g, b)
			}
		}
		if b == native { // what it saves is the command
			continue
		}
		for _, g := range gateways {
			c.countPrograms(g, b)
			c.serve(g, b)
		}
	}
	for _, b := range r.shorewalls {
		c.shorewall(newGateway(w, "control-shorewall-"+b, shorewallUplinks), b)
	}
	return c
}

func (c *control) record(operation, by, backend string, uplinks int, s spent) {
	key := controlKey{operation, by + ", " + backend, uplinks}
	c.cost[key] = append(c.cost[key], float64(s.cpu))
	c.wall[key] = append(c.wall[key], float64(s.wall))
}

// round does the same by hand and by replypath, and ends where it began.
func (c *control) round(g *gateway, backend string) {
	n := g.uplinks
	g.configure(backend)
	all := newScript(g.plan())
	c.record(fromNothing, byHand, backend, n, all.do(g.host))
	g.requireInSync()
	g.configureFirst(backend, n-1)
	s := newScript(g.plan()).do(g.host)
	g.configure(backend)
	s.add(newScript(g.plan()).do(g.host))
	c.record(oneChange, byHand, backend, n, s)
	took(g.replypath("flush"))
	all.undone().do(g.host)

	c.record(fromNothing, ourName, backend, n, took(g.replypath("apply")))
	c.record(noChange, ourName, backend, n, took(g.replypath("apply")))
	g.configureFirst(backend, n-1)
	s = took(g.replypath("apply"))
	g.configure(backend)
	s.add(took(g.replypath("apply")))
	c.record(oneChange, ourName, backend, n, s)
	took(g.replypath("flush"))
}

// plan returns the lines that replypath would do now.
func (g *gateway) plan() []string {
	c := g.replypath("plan")
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || c.ProcessState.ExitCode() != 3 {
		fatal("%s: replypath plan: %v: nothing to do, or not possible", g.name, err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// requireInSync sees that what was done by hand is what replypath would have done.
func (g *gateway) requireInSync() { took(g.replypath("plan")) }

// shorewall starts Shorewall for IPv4 and takes one of its providers away and back.
func (c *control) shorewall(g *gateway, backend string) {
	other := newShorewall(g, 4, backend)
	s := timed(g.host, "", other.program(), "compile", other.folder, other.firewall())
	s.add(timed(g.host, "", other.firewall(), "start"))
	c.record(fromNothing, shoreName, backend, g.uplinks, s)
	for range c.run.changes {
		s := timed(g.host, "", other.firewall(), "disable", g.last.Name)
		s.add(timed(g.host, "", other.firewall(), "enable", g.last.Name))
		c.record(oneChange, shoreName, backend, g.uplinks, s)
	}
	timed(g.host, "", other.firewall(), "clear")
}

// table returns what operations cost, over the same by hand.
func (c *control) table() *table {
	t := &table{title: "CPU time of a change, over the same by " + byHand, note: "in brackets the time by the clock",
		columns: []string{"operation", "by"}}
	for _, n := range c.run.changed {
		t.columns = append(t.columns, fmt.Sprintf("%d uplinks", n))
	}
	for _, operation := range []string{fromNothing, oneChange, provenChange, noChange} {
		for _, by := range []string{byHand, ourName, serviceName, shoreName} {
			for _, b := range append(slices.Clone(c.run.backends), native) {
				if row, any := c.row(operation, by+", "+b, byHand+", "+b); any {
					row[1] = strings.Replace(row[1], byHand+", "+native, nativeHand, 1)
					t.add(row...)
				}
			}
		}
	}
	return t
}

func (c *control) row(operation, by, hand string) (row []string, any bool) {
	row = []string{operation, by}
	over := operation
	switch operation {
	case noChange:
		over = fromNothing
	case provenChange:
		over = oneChange
	}
	for _, n := range c.run.changed {
		key := controlKey{operation, by, n}
		if len(c.cost[key]) == 0 {
			row = append(row, "")
			continue
		}
		any = true
		ratio := c.cost[key].over(c.cost[controlKey{over, hand, n}])
		cell := ratio.String()
		if wall := time.Duration(c.wall[key].median()); wall > 0 {
			cell += fmt.Sprintf(" [%s]", wall.Round(time.Millisecond))
		}
		row = append(row, cell)
	}
	return row, any
}

// requirements returns what must hold of changes.
func (c *control) requirements() (requirements []requirement) {
	least, most := c.run.changed[0], c.run.changed[len(c.run.changed)-1]
	natively := func(by string) sample { return c.cost[controlKey{fromNothing, by + ", " + native, most}] }
	requirements = append(requirements, requirement{
		name:   fmt.Sprintf("apply from nothing, nftables: %d uplinks over the same by %s", most, nativeHand),
		figure: natively(ourName).over(natively(byHand)), bound: 1.5,
	})
	for _, b := range c.run.backends {
		us, hand := ourName+", "+b, byHand+", "+b
		for _, n := range c.run.changed[1:] {
			requirements = append(requirements, requirement{
				name:   fmt.Sprintf("apply from nothing, %s: %d uplinks over the same by hand", b, n),
				figure: c.cost[controlKey{fromNothing, us, n}].over(c.cost[controlKey{fromNothing, hand, n}]), bound: 1.5,
			})
		}
		requirements = append(requirements, c.programRequirements(b, most)...)
		us = serviceName + ", " + b
		many := c.cost[controlKey{oneChange, us, most}]
		requirements = append(requirements, requirement{
			name:   fmt.Sprintf("the service's change, %s: one uplink down and up, %d over %d uplinks", b, most, least),
			figure: many.over(c.cost[controlKey{oneChange, us, least}]), bound: 2,
		}, requirement{
			name:   fmt.Sprintf("the same until it is proven again, %s: %d over %d uplinks", b, most, least),
			figure: c.cost[controlKey{provenChange, us, most}].over(c.cost[controlKey{provenChange, us, least}]), bound: 2,
		}, requirement{
			name:   fmt.Sprintf("the service's rounds with nothing to do, %s: page faults of programs started", b),
			figure: c.faults[controlKey{noChange, us, most}], bound: 0,
		})
		if theirs := c.cost[controlKey{oneChange, shoreName + ", " + b, shorewallUplinks}]; len(theirs) > 0 {
			requirements = append(requirements, requirement{
				name:   fmt.Sprintf("one change, %s: Shorewall with %d uplinks over the service with %d", b, shorewallUplinks, most),
				figure: theirs.over(many), bound: 50, least: true,
			})
		}
	}
	return requirements
}
