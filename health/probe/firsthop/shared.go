package firsthop

import (
	"context"
	"io"
	"sync"
	"time"

	"replypath/health"
)

// familyProber asks the gateways of one family.
type familyProber interface {
	io.Closer
	// probe sends one request to the path's gateway and waits for the reply, until ctx is done.
	probe(context.Context, health.Path) (reply, error)
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

func (s *shared[P]) probe(ctx context.Context, p health.Path) (r reply, err error) {
	began := time.Now()
	prober, err := s.get()
	if err == nil {
		r, err = prober.probe(ctx, p)
	}
	if r.sent.IsZero() {
		r.sent = began
	}
	return r, err
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
