package main

import (
	"fmt"
	"slices"
)

// stage is what a world stands on outside of a test: a world.TB. What goes wrong on it ends the scene.
type stage struct {
	endings []func()
	wrong   []string
}

// broken is what a Fatalf throws, as it must not return.
type broken struct{}

// perform runs f, then what is to be cleaned up after it, and returns what went wrong.
func (s *stage) perform(f func()) []string {
	defer func() {
		for _, end := range slices.Backward(s.endings) {
			end()
		}
	}()
	s.caught(f)
	return s.wrong
}

func (s *stage) caught(f func()) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil, broken:
		default:
			panic(r)
		}
	}()
	f()
}

// Helper does nothing: a stage prints no line numbers.
func (s *stage) Helper() {}

// Cleanup adds to what runs, in reverse, when the scene is over.
func (s *stage) Cleanup(f func()) { s.endings = append(s.endings, f) }

// Logf prints a line.
func (s *stage) Logf(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }

// Errorf notes what is wrong and goes on.
func (s *stage) Errorf(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

// Fatalf notes what is wrong and ends the scene.
func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(broken{})
}
