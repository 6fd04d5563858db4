package world

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// World is a set of hosts and the links between them. It ends with the test that made it.
type World struct {
	tb     TB
	ctx    context.Context // done when the world ends
	cancel context.CancelFunc
	tasks  sync.WaitGroup // goroutines of services, recorders and streams

	mu        sync.Mutex
	hosts     []*Host
	endings   []func()
	recorders []*Recorder
	macs      int
	exchanges atomic.Uint64 // that have taken a port
	fence     fence
}

// New returns an empty world. The program must have called Enter.
func New(tb TB) *World {
	tb.Helper()
	if !Inside() {
		tb.Fatalf("world: not in a namespace of its own: TestMain or main must call world.Enter() first")
	}
	w := &World{tb: tb}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	tb.Cleanup(w.end)
	return w
}

// Host returns the host of that name, made when there is none yet.
func (w *World) Host(name string) *Host {
	w.tb.Helper()
	w.mu.Lock()
	i := slices.IndexFunc(w.hosts, func(h *Host) bool { return h.Name == name })
	w.mu.Unlock()
	if i >= 0 {
		return w.hosts[i]
	}
	h := newHost(w, name)
	w.mu.Lock()
	w.hosts = append(w.hosts, h)
	w.mu.Unlock()
	return h
}

// atEnd runs f when the world ends, before its hosts go, last one first.
func (w *World) atEnd(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endings = append(w.endings, f)
}

// closeAtEnd closes a packet socket when the world ends, all of them at once: the kernel takes its time for each.
func (w *World) closeAtEnd(s *socket) {
	w.atEnd(func() { w.start(s.close) })
}

// start runs f in a goroutine that the end of the world waits for.
func (w *World) start(f func()) {
	w.tasks.Go(f)
}

func (w *World) end() {
	w.cancel()
	w.mu.Lock()
	endings := w.endings
	w.endings = nil
	w.mu.Unlock()
	for _, f := range slices.Backward(endings) {
		f()
	}
	w.tasks.Wait()
	for _, h := range w.hosts {
		h.close()
	}
}
