package main

import (
	"fmt"
	"os"
	"slices"

	"replypath/test/world"
)

// namespaceTB is what the worlds of the bench stand on: a world.TB. What goes wrong on it ends the bench, and with it every
// namespace, as figures from a world that is not right are worth nothing.
type namespaceTB struct{ endings []func() }

// on builds a world, has f use it, and takes it down.
func on(f func(w *world.World)) {
	g := &namespaceTB{}
	defer g.end()
	f(world.New(g))
}

// end takes the world down.
func (g *namespaceTB) end() {
	for _, end := range slices.Backward(g.endings) {
		end()
	}
}

// Helper does nothing: no line numbers are printed.
func (g *namespaceTB) Helper() {}

// Cleanup adds to what runs, in reverse, when the world is taken down.
func (g *namespaceTB) Cleanup(f func()) { g.endings = append(g.endings, f) }

// Logf prints a line.
func (g *namespaceTB) Logf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// Errorf ends the program, as Fatalf does.
func (g *namespaceTB) Errorf(format string, args ...any) { fatal(format, args...) }

// Fatalf ends the bench.
func (g *namespaceTB) Fatalf(format string, args ...any) { fatal(format, args...) }

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
