package firsthop

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// frameSender sends the packets of all uplinks by one socket. An interface that takes no packets, as its queue is stopped, holds those
// that were sent to it, until they fill the send buffer of the socket. Then each interface has a socket of its own, so that no other
// uplink waits for it. Safe for concurrent use.
type frameSender struct {
	shared *frameSocket

	mu  sync.Mutex
	own map[int]*frameSocket // by interface, while the shared one is full
}

// send sends a packet by the interface with that index. It never waits.
func (s *frameSender) send(index int, etherType uint16, to, packet []byte) error {
	err := s.shared.send(index, etherType, to, packet)
	if !errors.Is(err, unix.EAGAIN) {
		s.closeOwn()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own, err := s.ownSocket(index)
	if err == nil {
		err = own.send(index, etherType, to, packet)
	}
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("the interface takes no packets, its queue is full: %w", err)
	}
	return err
}

// ownSocket returns the socket of that interface. Its caller holds mu.
func (s *frameSender) ownSocket(index int) (own *frameSocket, err error) {
	if own = s.own[index]; own != nil {
		return own, nil
	}
	if own, err = openFrameSocket(0, nil); err != nil {
		return nil, err
	}
	if s.own == nil {
		s.own = map[int]*frameSocket{}
	}
	s.own[index] = own
	return own, nil
}

// closeOwn closes the sockets of single interfaces: the shared one has room again.
func (s *frameSender) closeOwn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, own := range s.own {
		own.Close()
	}
	clear(s.own)
}

// Close closes the sockets of single interfaces.
func (s *frameSender) Close() error {
	s.closeOwn()
	return nil
}
