package host

import (
	"math"
	"sync"

	"replypath/marks"
	"replypath/marks/xtables"
)

// generations are those of nftables that our own changes have made. Events of them may come when the change is long done.
type generations struct {
	mu    sync.Mutex
	spans [16]span // the last ones
	next  int
}

// span are the generations after first, up to last.
type span struct{ first, last uint64 }

// during notes the generations that a change of the table makes; what others change meanwhile counts with it. One change
// is made at a time.
func (g *generations) during(t *xtables.Table, change func() error) error {
	if t.Backend != marks.NFT {
		return change()
	}
	first, err := t.Stamp()
	if err != nil {
		return change()
	}
	at := g.open(first)
	err = change()
	last, unknown := t.Stamp()
	if unknown != nil {
		last = first
	}
	g.close(at, last)
	return err
}

// open begins a span that has no end yet.
func (g *generations) open(first uint64) (at int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at = g.next % len(g.spans)
	g.spans[at] = span{first, math.MaxUint64}
	g.next++
	return at
}

func (g *generations) close(at int, last uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spans[at].last = last
}

// hold reports whether the generation is one of ours.
func (g *generations) hold(generation uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.spans {
		if s.first < uint64(generation) && uint64(generation) <= s.last {
			return true
		}
	}
	return false
}
