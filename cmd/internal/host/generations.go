package host

import (
	"math"
	"sync"

	"replypath/marks"
	"replypath/marks/iptables"
)

// generations are those of nftables that our own changes have made. Events of them may come when the change is long done.
type generations struct {
	mu    sync.Mutex
	spans [16]generationSpan // the last ones
	next  int
}

// generationSpan are the generations after first, up to last.
type generationSpan struct{ after, last uint64 }

// track notes the generations that a change of the table makes; what others change meanwhile counts with it. One change
// is made at a time.
func (g *generations) track(t *iptables.Table, change func() error) error {
	if t.Backend != marks.NFT {
		return change()
	}
	first, err := t.Generation()
	if err != nil {
		return change()
	}
	at := g.begin(first)
	err = change()
	last, unknown := t.Generation()
	if unknown != nil {
		last = first
	}
	g.end(at, last)
	return err
}

// begin begins a span that has no end yet.
func (g *generations) begin(first uint64) (at int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at = g.next % len(g.spans)
	g.spans[at] = generationSpan{first, math.MaxUint64}
	g.next++
	return at
}

func (g *generations) end(at int, last uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spans[at].last = last
}

// contains reports whether the generation is one of ours.
func (g *generations) contains(generation uint32) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.spans {
		if s.after < uint64(generation) && uint64(generation) <= s.last {
			return true
		}
	}
	return false
}
