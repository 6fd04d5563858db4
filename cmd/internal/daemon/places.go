package daemon

import (
	"slices"
	"sync"

	"replypath/uplinks"
)

// places gathers where something may have changed until a round looks.
type places struct {
	mu  sync.Mutex
	all []uplinks.Place
}

// manyPlaces are as good as anywhere.
const manyPlaces = 64

func (p *places) note(at uplinks.Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) < manyPlaces && !slices.Contains(p.all, at) {
		p.all = append(p.all, at)
	}
}

// take gives the places, and begins anew. Nobody knows where: then they are none.
func (p *places) take() []uplinks.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	if len(all) == manyPlaces || slices.Contains(all, uplinks.Place{}) {
		return nil
	}
	return all
}
