package firsthop

import (
	"io"
	"sync"
	"time"

	"replypath/health"
)

// familyProber asks the gateways of one family.
type familyProber interface {
	io.Closer
	// refresh forgets what may have changed since the last batch of requests.
	refresh()
	// request returns a request to the path's gateway, and the function that sends it.
	request(*health.Path) (q *request, send func() error, err error)
	// requests are those that wait for their replies.
	requests() *requests
}

// shared is what all probes of a family share. It is opened by the first one, and again after an error of that.
type shared[P familyProber] struct {
	open func() (P, error)

	mu     sync.Mutex
	opened bool
	prober P
}

// get opens the prober unless it is open.
func (s *shared[P]) get() (p P, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened {
		if s.prober, err = s.open(); err != nil {
			return p, err
		}
		s.opened = true
	}
	return s.prober, nil
}

// begin sends a request to the path's gateway. end is called once: with the reply, or with the error after the timeout (zero: there
// is none). abort ends it earlier.
func (s *shared[P]) begin(p *health.Path, timeout time.Duration, end func(reply, error)) (abort func(error)) {
	began := time.Now()
	prober, err := s.get()
	var (
		q    *request
		send func() error
	)
	if err == nil {
		q, send, err = prober.request(p)
	}
	if err != nil {
		end(reply{sent: began}, err)
		return func(error) {}
	}
	q.timeout, q.end = timeout, end
	prober.requests().begin(q, send)
	return func(err error) { prober.requests().abort(q, err) }
}

// refresh forgets what may have changed since the last batch of requests.
func (s *shared[P]) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		s.prober.refresh()
	}
}

// close closes the prober. No probe may be running.
func (s *shared[P]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		s.prober.Close()
		s.opened = false
	}
}
