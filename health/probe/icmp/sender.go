package icmp

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"replypath/health"

	probing "github.com/prometheus-community/pro-bing"
)

// sender sends the requests of one path, one after the other, in one run of a pinger: to open a socket and compile its
// filter costs more than a request. The pinger's goroutine, which owns all fields but the channels, waits in OnSend for the
// next request.
type sender struct {
	pinger   *probing.Pinger
	dst      *net.IPAddr // the pinger's destination
	ifindex  int         // of the path's interface
	stamp    stamp       // of the current request
	current  *request
	count    int // requests until now
	attempts int // to send the current request that failed with EACCES
	idle     *time.Timer

	requests chan *request // unbuffered: a request is sent or refused once it was received
	done     chan struct{} // closed when the sender receives no more requests
}

const (
	maxRequests = 500         // of one run: pro-bing keeps state of each lost request until the run ends
	idleTimeout = time.Minute // after which the socket is closed
	maxAttempts = 2           // with EACCES: the first one may lack SO_BROADCAST
)

func newSender(p health.Path) *sender {
	s := &sender{ifindex: p.Index, idle: time.NewTimer(idleTimeout), requests: make(chan *request), done: make(chan struct{})}
	s.pinger, s.dst, s.stamp.tracker = newPinger(p)
	s.pinger.SetLogger(attemptCounter{s: s})
	return s
}

// run sends requests until ctx is done, one cannot be sent, there were maxRequests, or none within the idle timeout.
func (s *sender) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.next(ctx) {
		return
	}
	// The socket's filter, which is installed before OnSetup, accepts replies to unusedID alone.
	s.pinger.OnSetup = s.prepare
	s.pinger.OnSend = func(*probing.Packet) {
		s.finish(nil)
		if s.next(ctx) {
			s.prepare()
			return
		}
		s.pinger.Count = s.count // no more than were sent
		cancel()
	}
	s.pinger.OnSendError = func(_ *probing.Packet, err error) {
		if s.attempts >= maxAttempts {
			err = os.NewSyscallError("sendmsg", syscall.EACCES)
		}
		s.finish(err)
		s.pinger.Count = s.count - 1
		cancel()
	}
	s.pinger.OnRecvError = func(error) { <-ctx.Done() }
	if err := s.pinger.RunWithContext(ctx); s.current != nil {
		s.finish(cmp.Or(err, errEnded))
	}
}

var errEnded = errors.New("the pinger ended before the request was sent")

// next waits for the next request and reports whether there is one.
func (s *sender) next(ctx context.Context) bool {
	if s.count == maxRequests {
		return false
	}
	s.idle.Reset(idleTimeout)
	select {
	case s.current = <-s.requests:
		s.count++
		return true
	case <-ctx.Done():
	case <-s.idle.C:
	}
	return false
}

// prepare makes the current request the one that the pinger sends next.
func (s *sender) prepare() {
	s.attempts = 0
	s.stamp.seq = uint16(s.count - 1) // as pro-bing counts
	s.pinger.SetID(int(s.current.id))
	*s.dst = net.IPAddr{IP: s.current.dst.AsSlice()}
	if s.current.dst.IsLinkLocalUnicast() {
		s.dst.Zone = strconv.Itoa(s.ifindex) // package net caches the index of a name beyond the interface's life
	}
	s.current.markSending(s.stamp)
}

// finish reports the result of the current request.
func (s *sender) finish(err error) {
	s.current.finishSending(err)
	s.current = nil
}

// attemptCounter is the logger of a sender's pinger. pro-bing takes EACCES for a broadcast address that lacks SO_BROADCAST:
// it sets the option, logs that, and tries again, without end and regardless of its context. A prohibit rule or route gives
// EACCES too. After the last attempt the destination is taken away, so that the next one fails with EDESTADDRREQ and ends.
type attemptCounter struct {
	probing.NoopLogger
	s *sender
}

// Infof counts a failed attempt. While no reply is received, which OnRecvError prevents, pro-bing logs nothing else.
func (l attemptCounter) Infof(string, ...any) {
	if l.s.attempts++; l.s.attempts >= maxAttempts {
		*l.s.dst = net.IPAddr{}
	}
}
