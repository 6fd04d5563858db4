// Command bench measures what replypath costs, against no rules, the least that rules cost, and what others use, all in
// one run on one machine: every figure is a ratio of things that took turns.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"replypath/test/world"
)

func main() {
	program := flag.String("replypath", ".build/replypath", "the replypath `PROGRAM` to measure")
	quick := flag.Bool("quick", false, "fewer uplinks and rounds")
	flag.Parse()
	// A signal to a thread that injects frames would have the kernel begin again.
	os.Setenv("GODEBUG", "asyncpreemptoff=1")
	world.Enter()
	var err error
	measured, err = filepath.Abs(*program)
	must(err, "find the program to measure")
	_, err = os.Stat(measured)
	must(err, "no program to measure: make build")
	r := full()
	if *quick {
		r = brief()
	}
	var found results
	on(func(w *world.World) {
		p := newPackets(w, r)
		s := measureSockets(p)
		r.say("real sockets are measured")
		p.measure()
		for _, f := range families {
			found.tables = append(found.tables, p.table(f))
		}
		for _, f := range families {
			found.tables = append(found.tables, s.table(f))
		}
		found.claims = append(found.claims, p.claims()...)
	})
	for _, t := range append(found.tables, claimTable(found.claims)) {
		t.print(os.Stdout)
	}
	fmt.Println()
	r.say("done")
}

// results are what was found.
type results struct {
	tables []*table
	claims []claim
}

// run is how much is measured.
type run struct {
	began    time.Time
	uplinks  []int
	some     []int // of the numbers of uplinks, for what takes longer
	variants []variant
	rounds   int
	packets  int // that are injected at a time
}

func full() run {
	return run{began: time.Now(), uplinks: []int{2, 8, 31, 128, 250}, some: []int{2, 31, 250}, rounds: 15, packets: 2000,
		variants: []variant{bare, oneRule, blog["legacy"], blog["nft"], shore["legacy"], shore["nft"], ours["legacy"], ours["nft"]}}
}

func brief() run {
	return run{began: time.Now(), uplinks: []int{2, 250}, some: []int{250}, rounds: 9, packets: 1500,
		variants: []variant{bare, oneRule, blog["legacy"], blog["nft"], ours["legacy"], ours["nft"]}}
}

// extremes are the fewest and the most uplinks.
func (r run) extremes() (least, most int) { return slices.Min(r.uplinks), slices.Max(r.uplinks) }

// say tells how far the bench has come.
func (r run) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}
