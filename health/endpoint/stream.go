package endpoint

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"replypath/health"
)

// Intervals of a stream.
const (
	updateInterval = time.Second
	coalesceDelay  = 200 * time.Millisecond
	fullInterval   = time.Minute // as the histories count by the minute
)

// eventStream serves the Status as server-sent events: complete ones named "status" at the beginning, after every health.Event
// and once a minute; in between, once a second, ones named "pulse" without histories and events. It limits its clients.
type eventStream struct {
	source  Source
	timeout time.Duration // for a client to read an event
	owner   SocketOwner
	max     int // streams, a quarter of which one client may have
	mu      sync.Mutex
	clients map[string]int // streams, by clientKey
	total   int
}

// newEventStream returns a stream for at most a quarter of the connections.
func newEventStream(s Source, timeout time.Duration, owner SocketOwner, conns int) *eventStream {
	return &eventStream{source: s, timeout: timeout, owner: owner, max: min(maxStreams, conns/4), clients: map[string]int{}}
}

// ServeHTTP sends events until the client disconnects or does not read.
func (s *eventStream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := clientKey(r, s.owner)
	if !s.acquire(client) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many event streams: close another page of this endpoint", http.StatusServiceUnavailable)
		return
	}
	defer s.release(client)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // makes nginx pass on each event at once
	if r.Method == http.MethodHead {
		return
	}
	events := s.source.Subscribe(1)
	defer events.Close()
	c := sseClient{w: w, control: http.NewResponseController(w), timeout: s.timeout}
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
			// Events often come in bursts.
			select {
			case <-r.Context().Done():
				return
			case <-time.After(coalesceDelay):
			}
		}
	}
}

// acquire counts a stream of the client, and returns false if there are too many.
func (s *eventStream) acquire(client string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.max || s.clients[client] >= min(maxStreamsPerClient, max(s.max/4, 1)) {
		return false
	}
	s.total++
	s.clients[client]++
	return true
}

func (s *eventStream) release(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.clients[client]--; s.clients[client] == 0 {
		delete(s.clients, client)
	}
}

// withoutHistory removes what the client has already: events and histories.
func withoutHistory(s health.Status) health.Status {
	s.Events = []health.Event{}
	for _, u := range s.Uplinks { // WithoutNulls has cloned the families
		for i := range u.Families {
			u.Families[i].History = []health.MinuteStats{}
		}
	}
	return s
}

// sseClient writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type sseClient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// send fails if the client does not read the event within the timeout.
func (c sseClient) send(name string, s health.Status) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	event := slices.Concat([]byte("event: "+name+"\ndata: "), body, []byte("\n\n"))
	// The client has all of the timeout to read: encoding a large document does not count.
	if err := c.control.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	if _, err := c.w.Write(event); err != nil {
		return err
	}
	return c.control.Flush()
}
