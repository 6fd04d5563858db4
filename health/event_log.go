package health

import (
	"slices"
	"sync"
	"time"
)

// EventLogSize is how many events a EventLog keeps.
const EventLogSize = 200

// EventVersion is the version of the Event document. It grows when a field goes or changes its meaning.
const EventVersion = 1

// EventLog keeps the last events and tells them to whoever has subscribed. The zero EventLog is empty and ready; it may be
// used from many goroutines.
type EventLog struct {
	mu          sync.Mutex
	lastID      uint64 // the ID of the newest event
	events      []Event
	subscribers map[*Subscription]struct{}
}

// Add gives the event its version and ID, and its time when it has none, keeps it and tells it. It never waits for a
// subscriber.
func (j *EventLog) Add(e Event) Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastID++
	e.Version, e.ID = EventVersion, j.lastID
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if len(j.events) == EventLogSize {
		j.events = slices.Delete(j.events, 0, 1)
	}
	j.events = append(j.events, e)
	for s := range j.subscribers {
		s.push(e)
	}
	return e
}

// Events are the last events, oldest first.
func (j *EventLog) Events() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Event{}, j.events...)
}

// Subscribe has every event from now on told to the subscription, until it is closed. As many as the buffer holds wait
// for a reader who is slow, at least one; then the oldest of them goes for each new one.
func (j *EventLog) Subscribe(buffer int) *Subscription {
	c := make(chan Event, max(buffer, 1))
	s := &Subscription{C: c, c: c, log: j}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.subscribers == nil {
		j.subscribers = make(map[*Subscription]struct{})
	}
	j.subscribers[s] = struct{}{}
	return s
}

// Subscription is told every event.
type Subscription struct {
	C       <-chan Event // is never closed
	c       chan Event
	log     *EventLog
	dropped uint64 // under the journal's lock
}

// push makes room by taking back the oldest event. Only one goroutine at a time puts, under the journal's lock, so that
// there is room then.
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

// Dropped is how many events had to go for newer ones, because nobody read them in time.
func (s *Subscription) Dropped() uint64 {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.dropped
}

// Close ends the subscription. What is in the buffer can still be read.
func (s *Subscription) Close() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	delete(s.log.subscribers, s)
}
