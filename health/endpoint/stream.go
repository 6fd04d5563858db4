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
	pulseTime = time.Second
	calmTime  = 200 * time.Millisecond
	fullTime  = time.Minute // histories have a slot for each minute
)

// stage lets clients follow the Status: as server-sent events named "status", whole, at the beginning, after every event
// and once a minute; and as events named "pulse", without histories and events, once a second in between.
type stage struct {
	source Source
	mu     sync.Mutex
	seats  map[string]int // taken, by the client's address
	taken  int
}

func newStage(s Source) *stage { return &stage{source: s, seats: map[string]int{}} }

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, _, _ := net.SplitHostPort(r.RemoteAddr)
	if !s.sit(who) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many follow already: close a page that shows this", http.StatusServiceUnavailable)
		return
	}
	defer s.rise(who)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy passes on each event at once
	if r.Method == http.MethodHead {
		return
	}
	events := s.source.Subscribe(1)
	defer events.Close()
	c := client{w: w, control: http.NewResponseController(w)}
	for full := time.Now(); ; {
		status := s.source.Status().Whole()
		name := "status"
		if time.Now().Before(full) {
			name, status = "pulse", slim(status)
		} else {
			full = time.Now().Add(fullTime)
		}
		if err := c.send(name, status); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(pulseTime):
		case <-events.C:
			full = time.Time{}
			// Events often come in groups.
			select {
			case <-r.Context().Done():
				return
			case <-time.After(calmTime):
			}
		}
	}
}

// sit takes a seat, when there is one.
func (s *stage) sit(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == streams || s.seats[who] == streamsEach {
		return false
	}
	s.taken++
	s.seats[who]++
	return true
}

func (s *stage) rise(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.seats[who]--; s.seats[who] == 0 {
		delete(s.seats, who)
	}
}

// slim leaves out what seldom changes.
func slim(s health.Status) health.Status {
	s.Events = []health.Event{}
	for _, u := range s.Uplinks { // its families are a copy already
		for i := range u.Families {
			u.Families[i].History = []health.Slot{}
		}
	}
	return s
}

// client is one who follows.
type client struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// send gives up on a client that does not read.
func (c client) send(name string, s health.Status) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := c.control.SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.w, "event: %s\ndata: %s\n\n", name, body); err != nil {
		return err
	}
	return c.control.Flush()
}
