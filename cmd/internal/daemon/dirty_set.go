package daemon

import (
	"slices"
	"sync"

	"replypath/uplinks"
)

// dirtySet gathers where something may have changed until a round looks.
type dirtySet struct {
	mu     sync.Mutex
	scopes []uplinks.ChangedScope
}

// maxDirtyScopes are as good as anywhere.
const maxDirtyScopes = 64

func (p *dirtySet) add(scope uplinks.ChangedScope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.scopes) < maxDirtyScopes && !slices.Contains(p.scopes, scope) {
		p.scopes = append(p.scopes, scope)
	}
}

// take gives the places, and begins anew. Nobody knows where: then they are none.
func (p *dirtySet) take() []uplinks.ChangedScope {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.scopes
	p.scopes = nil
	if len(all) == maxDirtyScopes || slices.Contains(all, uplinks.ChangedScope{}) {
		return nil
	}
	return all
}
