package daemon

import (
	"slices"
	"sync"

	"replypath/uplinks"
)

// maxQueuedScopes is the number of scopes from which a round observes the whole host.
const maxQueuedScopes = 64

// roundQueue collects why the next round is needed, and where the host has changed. Safe for concurrent use.
type roundQueue struct {
	reasons chan string // the first reason since the last round

	mu     sync.Mutex
	scopes []uplinks.ChangedScope
}

func newRoundQueue() *roundQueue { return &roundQueue{reasons: make(chan string, 1)} }

// RequestRound asks for a round because the scope has changed; the zero scope is the whole host. It never blocks.
func (q *roundQueue) RequestRound(reason string, scope uplinks.ChangedScope) {
	q.add(scope)
	select {
	case q.reasons <- reason:
	default: // a round is requested already
	}
}

func (q *roundQueue) add(scope uplinks.ChangedScope) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.scopes) < maxQueuedScopes && !slices.Contains(q.scopes, scope) {
		q.scopes = append(q.scopes, scope)
	}
}

// takeScopes empties the queue and returns its scopes; none is the whole host.
func (q *roundQueue) takeScopes() []uplinks.ChangedScope {
	q.mu.Lock()
	defer q.mu.Unlock()
	scopes := q.scopes
	q.scopes = nil
	if len(scopes) == maxQueuedScopes || slices.Contains(scopes, uplinks.ChangedScope{}) {
		return nil
	}
	return scopes
}
