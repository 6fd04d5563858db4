// Command bench measures what replypath costs, against no rules, the least that rules cost, and what others use, all in
// one run on one machine: every figure is a ratio of things that took turns.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	on(func(w *world.World) {
		p := measurePackets(w, r)
		for _, f := range families {
			t := p.table(f)
			t.print(os.Stdout)
		}
		claimTable(p.claims()).print(os.Stdout)
	})
	fmt.Println()
	r.say("done")
}

// run is how much is measured.
type run struct {
	began    time.Time
	uplinks  []int
	variants []variant
	rounds   int
	packets  int // that are injected at a time
}

func full() run {
	return run{began: time.Now(), uplinks: []int{2, 8, 31, 128, 250}, rounds: 15, packets: 2000,
		variants: []variant{bare, oneRule, blog["legacy"], blog["nft"], shore["legacy"], shore["nft"], ours["legacy"], ours["nft"]}}
}

func brief() run {
	return run{began: time.Now(), uplinks: []int{2, 250}, rounds: 9, packets: 1500,
		variants: []variant{bare, oneRule, blog["legacy"], blog["nft"], ours["legacy"], ours["nft"]}}
}

// say tells how far the bench has come.
func (r run) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}
