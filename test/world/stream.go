package world

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is a TCP connection to a service of ServeTCP under load both ways: all that it sends comes back.
type Stream struct {
	conn           *net.TCPConn
	sent, received atomic.Int64
	ended          sync.WaitGroup

	mu      sync.Mutex
	last    time.Time // when something came last
	longest time.Duration
	err     error
	changed chan struct{} // closed and made anew with every progress
}

// lineRate is what a stream carries in a second, in bytes, in each direction: as a line of 500 Mbit/s does. The kernel sends it in a
// thousand segments or more (tcp_tso_autosize in net/ipv4/tcp_output.c), so that a break of a millisecond meets some. Without it
// one stream takes both CPUs, and a test takes many times as long.
const lineRate = 64 << 20

// StreamStats is what a stream carried.
type StreamStats struct {
	Sent, Received int64         // bytes; what came back was sent
	Stall          time.Duration // the longest time in which nothing came
	Reset          bool
	Err            error // why it ended by itself; nil when it did not
}

// Stream opens a stream at lineRate. Of the request, To, From and Timeout count.
func (h *Host) Stream(q Request) (*Stream, error) { return h.StreamAt(q, lineRate) }

// StreamAt opens a stream that sends that many bytes in a second at most, and so much comes back: an emulated machine is busy with less than
// lineRate.
func (h *Host) StreamAt(q Request, rate int) (*Stream, error) {
	conn, r, err := h.greeted(q)
	if err != nil {
		return nil, err
	}
	s := &Stream{conn: conn, last: time.Now(), changed: make(chan struct{})}
	if err := s.pace(rate); err != nil {
		conn.Close()
		return nil, err
	}
	s.ended.Go(s.write)
	s.ended.Go(func() { s.read(r) })
	h.world.atEnd(func() { s.Stop() })
	return s, nil
}

// greeted returns a connection on which the service has sent its hello.
func (h *Host) greeted(q Request) (*net.TCPConn, *bufio.Reader, error) {
	conn, err := h.dial(q)
	if err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(time.Now().Add(q.timeout()))
	r := bufio.NewReader(conn)
	if _, err := readHello(r); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("connected, but: %w", err)
	}
	conn.SetDeadline(time.Time{})
	return conn, r, nil
}

// pace makes the stream send that many bytes in a second at most.
func (s *Stream) pace(bytes int) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, bytes)
	})
	return errors.Join(err, failed)
}

// Await returns when that many more bytes have come back, or with the reason why they will not. Without a deadline of the context it
// waits for two minutes.
func (s *Stream) Await(ctx context.Context, bytes int64) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	want := s.received.Load() + bytes
	for {
		s.mu.Lock()
		changed, err := s.changed, s.err
		s.mu.Unlock()
		switch {
		case s.received.Load() >= want:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("stream stalls, %d bytes are missing: %w", want-s.received.Load(), ctx.Err())
		}
	}
}

// Stats returns what the stream has carried so far.
func (s *Stream) Stats() StreamStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := StreamStats{Received: s.received.Load(), Stall: s.longest, Err: s.err}
	c.Sent = max(s.sent.Load(), c.Received) // a write that is not done yet is not counted, what came back of it is
	c.Reset = errors.Is(s.err, syscall.ECONNRESET)
	if s.err == nil {
		c.Stall = max(c.Stall, time.Since(s.last))
	}
	return c
}

// Stop ends the stream and returns what it has carried.
func (s *Stream) Stop() StreamStats {
	c := s.Stats()
	s.conn.SetLinger(0)
	s.conn.Close()
	s.ended.Wait()
	return c
}

func (s *Stream) write() {
	chunk := make([]byte, 64<<10)
	for {
		n, err := s.conn.Write(chunk)
		s.sent.Add(int64(n))
		if err != nil {
			s.setErr(err)
			return
		}
	}
}

func (s *Stream) read(r io.Reader) {
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		s.received.Add(int64(n))
		if err != nil {
			s.setErr(err)
			return
		}
		s.mu.Lock()
		now := time.Now()
		s.longest, s.last = max(s.longest, now.Sub(s.last)), now
		s.progress()
		s.mu.Unlock()
	}
}

// setErr keeps the first reason why the stream ended. That we closed it is none.
func (s *Stream) setErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		s.err = err
	}
	s.progress()
}

func (s *Stream) progress() {
	close(s.changed)
	s.changed = make(chan struct{})
}
