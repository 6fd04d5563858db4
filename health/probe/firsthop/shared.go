package firsthop

import (
	"io"
	"sync"
)

// familyProber asks the gateways of one family.
type familyProber interface {
	io.Closer
	// refresh forgets what may have changed since the last batch of requests.
	refresh()
	// prepare completes the request, and appends its packet. to is the hardware address that it is sent to.
	prepare(q *request, packet []byte) (to, complete []byte, err error)
	// sender sends its packets.
	sender() (s *frameSender, etherType uint16)
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

// sendAll sends the requests, which have their paths. Each ends once: with the reply, or with the error after its timeout; without one,
// when it is aborted.
func (s *shared[P]) sendAll(all []request, ended *endings) {
	if len(all) == 0 {
		return
	}
	prober, err := s.get()
	if err != nil {
		failAll(all, err, ended)
		return
	}
	sender, etherType := prober.sender()
	closed := sender.use(func(out *frameOutput) {
		var buffer [128]byte
		for i := range all {
			q := &all[i]
			q.gateway = GatewayAddr(q.path)
			to, packet, err := prober.prepare(q, buffer[:0])
			if err != nil {
				ended.append(q.batch, failed(q.n, q.path, err))
				continue
			}
			prober.requests().begin(q)
			if err := sender.send(out, q.path.Index, etherType, to, packet); err != nil {
				prober.requests().abort(q, err, ended)
			}
		}
	})
	if closed != nil {
		failAll(all, closed, ended)
	}
}

// failAll ends requests that were not sent.
func failAll(all []request, err error, ended *endings) {
	for i := range all {
		q := &all[i]
		ended.append(q.batch, failed(q.n, q.path, err))
	}
}

// abort ends the request, unless it has ended.
func (s *shared[P]) abort(q *request, err error) {
	if prober, failed := s.get(); failed == nil {
		var ended endings
		prober.requests().abort(q, err, &ended)
		ended.flush()
	}
}

// refresh forgets what may have changed since the last batch of requests.
func (s *shared[P]) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		s.prober.refresh()
	}
}

// expire ends the requests that are about to expire.
func (s *shared[P]) expire() {
	s.mu.Lock()
	opened, prober := s.opened, s.prober
	s.mu.Unlock()
	if opened {
		prober.requests().expire()
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
