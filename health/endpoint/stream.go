package endpoint

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"replypath/health"
)

// What a stream shows, and how often.
const (
	updateInterval = time.Second
	coalesceDelay  = 200 * time.Millisecond
	fullInterval   = time.Minute // histories have a slot for each minute
)

// eventStream lets clients follow the Status: as server-sent events named "status", whole, at the beginning, after every event
// and once a minute; and as events named "pulse", without histories and events, once a second in between.
type eventStream struct {
	source  Source
	mu      sync.Mutex
	clients map[string]int // taken, by the client's address
	total   int
}

func newEventStream(s Source) *eventStream { return &eventStream{source: s, clients: map[string]int{}} }

func (s *eventStream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr, _, _ := net.SplitHostPort(r.RemoteAddr)
	if !s.acquire(addr) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many follow already: close a page that shows this", http.StatusServiceUnavailable)
		return
	}
	defer s.release(addr)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy passes on each event at once
	if r.Method == http.MethodHead {
		return
	}
	events := s.source.Subscribe(1)
	defer events.Close()
	c := sseClient{w: w, control: http.NewResponseController(w)}
	for full := time.Now(); ; {
		status := s.source.Status().WithoutNulls()
		name := "status"
		if time.Now().Before(full) {
			name, status = "pulse", withoutHistory(status)
		} else {
			full = time.Now().Add(fullInterval)
		}
		if err := c.send(name, status); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(updateInterval):
		case <-events.C:
			full = time.Time{}
			// Events often come in groups.
			select {
			case <-r.Context().Done():
				return
			case <-time.After(coalesceDelay):
			}
		}
	}
}

// acquire takes a seat, when there is one.
func (s *eventStream) acquire(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total == maxStreams || s.clients[addr] == maxStreamsPerClient {
		return false
	}
	s.total++
	s.clients[addr]++
	return true
}

func (s *eventStream) release(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.clients[addr]--; s.clients[addr] == 0 {
		delete(s.clients, addr)
	}
}

// withoutHistory leaves out what seldom changes.
func withoutHistory(s health.Status) health.Status {
	s.Events = []health.Event{}
	for _, u := range s.Uplinks { // its families are a copy already
		for i := range u.Families {
			u.Families[i].History = []health.MinuteStats{}
		}
	}
	return s
}

// sseClient is one who follows.
type sseClient struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// send gives up on a client that does not read.
func (c sseClient) send(name string, s health.Status) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := c.control.SetWriteDeadline(time.Now().Add(responseTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", name, body); err != nil {
		return err
	}
	return c.control.Flush()
}
