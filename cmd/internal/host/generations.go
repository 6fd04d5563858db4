package host

import (
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

// during notes the generations that a change of the table makes; what others change meanwhile counts with it.
func (g *generations) during(t *xtables.Table, change func() error) error {
	if t.Backend != marks.NFT {
		return change()
	}
	first, unknown := t.Stamp()
	err := change()
	last, also := t.Stamp()
	if unknown != nil || also != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.spans[g.next%len(g.spans)] = span{first, last}
	g.next++
	return err
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
