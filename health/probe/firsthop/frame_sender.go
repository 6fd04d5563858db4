package firsthop

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// frameSender sends the packets of all uplinks by one socket. An interface that takes no packets, as its queue is stopped, holds those
// that were sent to it, until they fill the send buffer of the socket. Then each interface has a socket of its own, so that no other
// uplink waits for it. Safe for concurrent use.
type frameSender struct {
	shared *frameSocket

	mu     sync.Mutex
	own    map[int]*frameSocket // by interface, while the shared one is full
	hasOwn atomic.Bool          // there are some
}

// use calls f with an output of the shared socket, unless that is closed.
func (s *frameSender) use(f func(*frameOutput)) error { return s.shared.use(f) }

// send sends a packet by the interface with that index. It never waits. out is an output of the shared socket.
func (s *frameSender) send(out *frameOutput, index int, etherType uint16, to, packet []byte) error {
	err := out.send(index, etherType, to, packet)
	if err != unix.EAGAIN {
		if s.hasOwn.Load() {
			s.closeOwn()
		}
		return os.NewSyscallError("sendto", err)
	}
	return s.sendByOwn(index, etherType, to, packet)
}

func (s *frameSender) sendByOwn(index int, etherType uint16, to, packet []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, err := s.ownSocket(index)
	if err != nil {
		return err
	}
	closed := own.use(func(out *frameOutput) { err = out.send(index, etherType, to, packet) })
	if err == unix.EAGAIN {
		return fmt.Errorf("the interface takes no packets, its queue is full: %w", os.NewSyscallError("sendto", err))
	}
	return errors.Join(closed, os.NewSyscallError("sendto", err))
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
	s.hasOwn.Store(true)
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
	s.hasOwn.Store(false)
}

// Close closes the sockets of single interfaces.
func (s *frameSender) Close() error {
	s.closeOwn()
	return nil
}
