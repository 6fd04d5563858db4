package health

import (
	"slices"
	"sync"
	"time"
)

// EventLogSize is the number of events that an EventLog keeps.
const EventLogSize = 200

// EventLog keeps the newest events and sends them to its subscribers. Its zero value is empty. It is safe for concurrent
// use.
type EventLog struct {
	mu          sync.Mutex
	lastID      uint64 // of the newest event
	events      []Event
	subscribers map[*Subscription]struct{}
}

// Add sets the version and the ID of the event, and its time if it is zero, and then keeps and sends it. It never blocks.
func (l *EventLog) Add(e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastID++
	e.Version, e.ID = EventVersion, l.lastID
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if len(l.events) == EventLogSize {
		l.events = slices.Delete(l.events, 0, 1)
	}
	l.events = append(l.events, e)
	for s := range l.subscribers {
		s.push(e)
	}
	return e
}

// Events returns a copy of the kept events, oldest first.
func (l *EventLog) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event{}, l.events...)
}

// Subscribe returns a subscription to all later events. Its buffer holds at least one event; when it is full, each new
// event displaces the oldest.
func (l *EventLog) Subscribe(buffer int) *Subscription {
	c := make(chan Event, max(buffer, 1))
	s := &Subscription{C: c, c: c, log: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.subscribers == nil {
		l.subscribers = make(map[*Subscription]struct{})
	}
	l.subscribers[s] = struct{}{}
	return s
}

// Subscription receives the events of an EventLog.
type Subscription struct {
	C       <-chan Event // never closed
	c       chan Event
	log     *EventLog
	dropped uint64 // guarded by log.mu
}

// push sends the event and drops the oldest one if the buffer is full. Its caller holds log.mu and is thus the only sender,
// so that there is room after a receive.
func (s *Subscription) push(e Event) {
	for {
		select {
		case s.c <- e:
			return
		default:
		}
		select {
		case <-s.c:
			s.dropped++
		default:
		}
	}
}

// Dropped returns the number of events that were displaced before they were received.
func (s *Subscription) Dropped() uint64 {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.dropped
}

// Close ends the subscription. Buffered events can still be received.
func (s *Subscription) Close() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	delete(s.log.subscribers, s)
}
