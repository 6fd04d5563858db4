// Command bench measures what replypath costs, against no rules, the least that rules cost, and what others use, all in
// one run on one machine: every figure is a ratio of things that took turns.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"replypath/test/world"
)

func main() {
	program := flag.String("replypath", ".build/replypath", "the replypath `PROGRAM` to measure")
	quick := flag.Bool("quick", false, "fewer uplinks and rounds")
	only := flag.String("only", "", "measure only these `PARTS`: "+strings.Join(partNames(), ","))
	document := flag.String("document", "", "put the results into this `FILE`, between its markers")
	picture := flag.String("chart", "", "draw the chart into this `FILE`")
	image := flag.String("instructions", "", "count the instructions of packets in an emulated machine that boots this `FOLDER`")
	inside := flag.Bool("vm", false, "be the first process of that machine")
	figures := flag.Bool("figures", false, "print the figures of packets for -instructions")
	var f focus
	f.flags()
	flag.Parse()
	if *inside {
		runVM(slices.DeleteFunc(os.Args[1:], func(arg string) bool { return arg == "-vm" }))
	}
	// A signal to a thread that injects frames would have the kernel begin again.
	os.Setenv("GODEBUG", "asyncpreemptoff=1")
	world.Enter()
	measured = find(*program)
	switch {
	case *figures:
		printFigures(f.on(counting()))
		return
	case *image != "":
		if !countInstructions(f.on(counting()), *image, *document) {
			os.Exit(1)
		}
		return
	}
	r := full()
	if *quick {
		r = brief()
	}
	r = f.on(r)
	r.checkPublished(*document, *picture)
	var found results
	for _, p := range parts {
		if *only == "" || slices.Contains(strings.Split(*only, ","), p.name) {
			shown := len(found.tables)
			p.measure(r, &found)
			r.logf("%s: done", p.name)
			for _, t := range found.tables[shown:] {
				t.print(os.Stdout)
			}
		}
	}
	requirementTable(found.requirements).print(os.Stdout)
	if *document != "" {
		found.writeInto(*document)
	}
	if *picture != "" {
		var b bytes.Buffer
		found.chart.draw(&b)
		must(os.WriteFile(*picture, b.Bytes(), 0o644), "draw the chart")
	}
	if found.broken() {
		os.Exit(1)
	}
}

// checkPublished ends the bench when the results of a part of a run are to be published.
func (r run) checkPublished(files ...string) {
	if r.focused && strings.Join(files, "") != "" {
		fatal("only the results of a full run are published: omit -document and -chart, or the flags that restrict the run")
	}
}

// part is something that can be measured alone.
type part struct {
	name    string
	measure func(r run, to *results)
}

var parts = []part{
	{"packets", measurePackets},
	{"outbound", measureOutbound},
	{"routers", measureFound},
	{"control", measureControl},
	{"detection", measureDetection},
	{"failover", measureFailover},
	{"rest", measureRest},
	{"scaling", measureScaling},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// measurePackets measures packets and sockets on the same gateways.
func measurePackets(r run, to *results) {
	on(func(w *world.World) {
		p := newPackets(w, r, inboundPaths)
		var s *sockets
		if r.paths == nil {
			s = measureSockets(p)
			r.logf("real sockets are measured")
		}
		p.measure()
		for _, f := range families {
			to.tables = append(to.tables, p.table(f))
		}
		if s != nil {
			for _, f := range families {
				to.tables = append(to.tables, s.table(f))
			}
		}
		_, most := r.extremes()
		to.short = append(to.short, p.digest("CPU time", most))
		to.add(p.interceptionTable())
		to.chart = p.chart(4)
		to.requirements = append(to.requirements, p.requirements()...)
	})
}

// measureControl measures changes.
func measureControl(r run, to *results) {
	on(func(w *world.World) {
		c := newControl(w, r)
		to.add(c.table())
		to.tables = append(to.tables, c.programTable())
		to.requirements = append(to.requirements, c.requirements()...)
	})
}

// measureDetection measures how soon harm is seen.
func measureDetection(r run, to *results) {
	g := &namespaceTB{}
	defer g.end()
	d := newDetection(world.TwoISPs(g), r.harms)
	to.add(d.table())
	to.requirements = append(to.requirements, d.requirements()...)
}

// measureRest measures a service that has nothing to do.
func measureRest(r run, to *results) {
	on(func(w *world.World) {
		all := newRest(w, r)
		to.add(all.table())
		to.requirements = append(to.requirements, all.requirements()...)
	})
}

// measureScaling measures doing nothing beside what others have.
func measureScaling(r run, to *results) {
	on(func(w *world.World) {
		s := newScaling(w, r)
		to.add(s.table())
		to.requirements = append(to.requirements, s.requirements()...)
	})
}

// logf prints the progress of the bench.
func (r run) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", r.since().Seconds(), fmt.Sprintf(format, args...))
}
