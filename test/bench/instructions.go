package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"time"
)

// mostCounted is the number of uplinks that the bounds are for.
const mostCounted = 250

// counting returns the run that counts instructions: the count of a packet is the same each time, but for what the kernel does at an
// interrupt. So the median of few rounds is exact. Those of first packets have fewer packets, and are more.
func counting() run {
	return run{
		began: time.Now(), uplinks: []int{2, 31, mostCounted}, rounds: 3, fresh: 7, copies: 1, packets: 400,
		variants: []variant{bare, oneRule, blog["legacy"], shore["legacy"], ours["legacy"], ours["nft"], ours[native], accelerated},
		slowest:  2,
		paths:    []string{reply.name, original.name, local.name, outbound.name, first.name, young.name, pinned.name, answer.name, begin.name},

		outbound: append(append([]variant{natAlone}, each(withoutOut, ourBackends...)...), each(withOut, ourBackends...)...), outboundUplinks: []int{2, 31, mostCounted},
		found: foundVariants(),
	}
}

// countInstructions counts the instructions of packets in emulated machines, one for each number of uplinks, prints the tables, puts
// them into the document unless that is "", and reports whether all bounds hold.
func countInstructions(r run, image, document string) bool {
	r.checkPublished(document)
	p := &packets{run: r, paths: inboundPaths, cost: map[packetKey]sample{}}
	g := &namespaceTB{}
	defer g.end()
	e := newEmulator(g, image, p)
	var machines sync.WaitGroup
	for _, n := range r.uplinks {
		machines.Go(func() {
			e.count(context.Background(), n)
			r.logf("the machine with %d uplinks has counted", n)
		})
	}
	machines.Wait()
	out := &packets{run: r.forOutbound(), paths: outboundPaths, cost: p.cost}
	found := &packets{run: r.forFound(), paths: foundPaths, cost: p.cost}
	requirements := slices.Concat(p.instructionRequirements(), exact(out.outboundRequirements()), exact(found.foundRequirements()))
	write := func(to io.Writer) { printInstructions(to, e.kernel, requirements, found, p, out) }
	write(os.Stdout)
	if document != "" {
		replaceBetween(document, instructionTables, write)
	}
	return !(&results{requirements: requirements}).broken()
}

// printInstructions prints the tables, those of the most uplinks first, and what must hold.
func printInstructions(to io.Writer, kernel string, requirements []requirement, found *packets, all ...*packets) {
	fmt.Fprintf(to, "The last full run: %s, Linux %s, amd64, emulated by qemu.\n", time.Now().Format(time.DateOnly), kernel)
	for _, p := range all {
		for _, n := range slices.Backward(p.run.uplinks) {
			p.digest("Instructions", n).print(to)
		}
	}
	found.foundTable("Instructions").print(to)
	requirementTable(requirements).print(to)
}

// instructionBound is what a packet may cost over no rules with the most uplinks, in IPv4 and IPv6.
type instructionBound struct {
	path    path
	variant variant
	most    [2]float64
}

var instructionBounds = []instructionBound{
	{reply, ours[native], [2]float64{2.05, 1.84}},
	{young, ours[native], [2]float64{2.35, 2.10}},
	{first, ours[native], [2]float64{1.70, 1.45}},
	{reply, accelerated, [2]float64{0.33, 0.30}},
}

// recipeBounds are how many times as many instructions the CONNMARK recipe must take for a reply, with the most uplinks.
var recipeBounds = []struct {
	over  variant
	least float64
}{{ours[native], 2.5}, {accelerated, 14}}

// instructionRequirements returns what must hold of instructions.
func (p *packets) instructionRequirements() (requirements []requirement) {
	_, most := p.run.extremes()
	ratio := func(w path, variant, over string, f family) sample {
		return rounded(p.work(w.name, variant, most, f).over(p.work(w.name, over, most, f)))
	}
	for i, f := range families {
		if most != mostCounted {
			break
		}
		for _, b := range instructionBounds {
			requirements = append(requirements, requirement{
				name:   fmt.Sprintf("%s, %s: %s over no rules, %d uplinks", b.path.label, f, b.variant.name, most),
				figure: ratio(b.path, b.variant.name, nothing, f), bound: b.most[i],
			})
		}
		for _, b := range recipeBounds {
			recipe := blog["legacy"].name
			requirements = append(requirements, requirement{
				name:   fmt.Sprintf("%s, %s: %s over %s, %d uplinks", reply.label, f, recipe, b.over.name, most),
				figure: ratio(reply, recipe, b.over.name, f), bound: b.least, least: true,
			})
		}
	}
	return requirements
}

// exact returns the requirements with figures to the hundredth.
func exact(all []requirement) []requirement {
	for i := range all {
		all[i].figure = rounded(all[i].figure)
	}
	return all
}

// rounded returns the figures to the hundredth, to which they repeat.
func rounded(s sample) sample {
	var to sample
	for _, v := range s {
		to = append(to, math.Round(100*v)/100)
	}
	return to
}
