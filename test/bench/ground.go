package main

import (
	"fmt"
	"os"
	"slices"

	"replypath/test/world"
)

// ground is what the worlds of the bench stand on: a world.TB. What goes wrong on it ends the bench, and with it every
// namespace, as figures from a world that is not right are worth nothing.
type ground struct{ endings []func() }

// on builds a world, has f use it, and takes it down.
func on(f func(w *world.World)) {
	g := &ground{}
	defer g.end()
	f(world.New(g))
}

// end takes the world down.
func (g *ground) end() {
	for _, end := range slices.Backward(g.endings) {
		end()
	}
}

// Helper has nothing to do: no lines of code are printed.
func (g *ground) Helper() {}

// Cleanup adds to what runs, in reverse, when the world is taken down.
func (g *ground) Cleanup(f func()) { g.endings = append(g.endings, f) }

// Logf prints a line.
func (g *ground) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// Errorf is as bad as Fatalf.
func (g *ground) Errorf(format string, args ...any) { fatal(format, args...) }

// Fatalf ends the bench.
func (g *ground) Fatalf(format string, args ...any) { fatal(format, args...) }

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
	os.Exit(1)
}

// must ends the bench when err is set.
func must(err error, format string, args ...any) {
	if err != nil {
		fatal("%s: %v", fmt.Sprintf(format, args...), err)
	}
}
