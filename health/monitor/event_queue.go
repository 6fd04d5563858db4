package monitor

import (
	"sync"

	"replypath/health"
)

// eventQueue delivers events in the order in which they were added, one at a time.
type eventQueue struct {
	mu         sync.Mutex
	queued     []health.Event
	delivering bool // a goroutine handles an event
}

func (q *eventQueue) add(events []health.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued = append(q.queued, events...)
}

// deliver passes all queued events to handle. If another goroutine is delivering, it delivers these as well; this includes
// the caller's own, when handle itself adds events.
func (q *eventQueue) deliver(handle func(health.Event)) {
	for e, ok := q.take(); ok; e, ok = q.take() {
		if handle != nil {
			handle(e)
		}
		q.delivered()
	}
}

// take returns the next event, unless another one is being handled.
func (q *eventQueue) take() (e health.Event, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.delivering || len(q.queued) == 0 {
		return e, false
	}
	e, q.queued, q.delivering = q.queued[0], q.queued[1:], true
	return e, true
}

func (q *eventQueue) delivered() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.delivering = false
}
