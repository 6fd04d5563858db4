package health

import (
	"slices"
	"sync"
	"time"
)

// Remembered is how many events a Journal keeps.
const Remembered = 200

// EventVersion is the version of the Event document. It grows when a field goes or changes its meaning.
const EventVersion = 1

// Journal keeps the last events and tells them to whoever has subscribed. The zero Journal is empty and ready; it may be
// used from many goroutines.
type Journal struct {
	mu          sync.Mutex
	last        uint64 // the ID of the newest event
	events      []Event
	subscribers map[*Subscription]struct{}
}

// Add gives the event its version and ID, and its time when it has none, keeps it and tells it. It never waits for a
// subscriber.
func (j *Journal) Add(e Event) Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Version, e.ID = EventVersion, j.last
	if e.At.IsZero() {
		e.At = time.Now()
	}
	if len(j.events) == Remembered {
		j.events = slices.Delete(j.events, 0, 1)
	}
	j.events = append(j.events, e)
	for s := range j.subscribers {
		s.put(e)
	}
	return e
}

// Events are the last events, oldest first.
func (j *Journal) Events() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Event{}, j.events...)
}

// Subscribe has every event from now on told to the subscription, until it is closed. As many as the buffer holds wait
// for a reader who is slow, at least one; then the oldest of them goes for each new one.
func (j *Journal) Subscribe(buffer int) *Subscription {
	c := make(chan Event, max(buffer, 1))
	s := &Subscription{C: c, c: c, journal: j}
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
	journal *Journal
	lost    uint64 // under the journal's lock
}

// put makes room by taking back the oldest event. Only one goroutine at a time puts, under the journal's lock, so that
// there is room then.
func (s *Subscription) put(e Event) {
	for {
		select {
		case s.c <- e:
			return
		default:
		}
		select {
		case <-s.c:
			s.lost++
		default:
		}
	}
}

// Lost is how many events had to go for newer ones, because nobody read them in time.
func (s *Subscription) Lost() uint64 {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.lost
}

// Close ends the subscription. What is in the buffer can still be read.
func (s *Subscription) Close() {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	delete(s.journal.subscribers, s)
}
