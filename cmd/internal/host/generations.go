package host

import (
	"math"
	"sync"

	"replypath/marks"
	"replypath/marks/netfilter"
)

// generations records the generations of nftables that replypath's own changes created. Their events may arrive long
// after the change.
type generations struct {
	mu    sync.Mutex
	spans [16]generationSpan // the latest
	next  int
}

// generationSpan covers the generations behind after, up to last.
type generationSpan struct{ after, last uint64 }

// track records the generations that a change of the firewall creates, including those of other programs meanwhile.
// Changes are made one at a time.
func (g *generations) track(t marks.Firewall, change func() error) error {
	if t.Backend() == marks.Legacy {
		return change()
	}
	return g.trackBy(t.Generation, change)
}

// trackNFT does the same for a change of nftables that is not one of a firewall.
func (g *generations) trackNFT(change func() error) error {
	return g.trackBy(netfilter.Generation, change)
}

func (g *generations) trackBy(generation func() (uint64, error), change func() error) error {
	first, err := generation()
	if err != nil {
		return change()
	}
	at := g.begin(first)
	err = change()
	last, unknown := generation()
	if unknown != nil {
		last = first
	}
	g.end(at, last)
	return err
}

// begin opens a span without end and returns its index.
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

// latest returns the last generation that replypath created.
func (g *generations) latest() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == 0 {
		return 0
	}
	return g.spans[(g.next-1)%len(g.spans)].last
}

// contains reports whether replypath created the generation.
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
