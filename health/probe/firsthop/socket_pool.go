package firsthop

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"replypath/health"
)

// socketPool keeps sockets open between probes: to open and close a socket costs more than a probe. A socket is used by one
// probe at a time, and not for an interface that was recreated under the same name.
type socketPool[S probeSocket] struct {
	open func(health.Path) (S, error)

	mu        sync.Mutex
	idle      map[string][]idleSocket[S] // by interface name
	lastSweep time.Time
}

// probeSocket is a socket that sends probes and receives the replies.
type probeSocket interface {
	io.Closer
	SetReadDeadline(time.Time) error
	// probe sends one request to the path's gateway and waits for the reply, until the read deadline.
	probe(health.Path) (reply, error)
	// drain clears the read deadline and discards the packets received since the last probe, such as late replies.
	drain() error
}

// reply is the reply to a probe. Without one only the time of the request is set.
type reply struct {
	sent time.Time
	took time.Duration
	mac  string // of the gateway, raw; empty: not in the reply
}

type idleSocket[S probeSocket] struct {
	socket    S
	index     int // of the interface
	idleSince time.Time
}

// idleTimeout is how long an unused socket is kept open.
const idleTimeout = time.Minute

func newSocketPool[S probeSocket](open func(health.Path) (S, error)) *socketPool[S] {
	return &socketPool[S]{open: open, idle: map[string][]idleSocket[S]{}, lastSweep: time.Now()}
}

// probe sends one request to the path's gateway and waits for the reply, until ctx is done.
func (p *socketPool[S]) probe(ctx context.Context, path health.Path) (r reply, err error) {
	s, err := p.get(path)
	if err != nil {
		return reply{sent: time.Now()}, err
	}
	stop := interruptWhenDone(ctx, s)
	r, err = s.probe(path)
	stop()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.put(path, s)
	} else {
		s.Close()
	}
	return r, err
}

// interruptWhenDone makes reads of the socket fail when ctx is done. After stop they no longer do.
func interruptWhenDone(ctx context.Context, s probeSocket) (stop func()) {
	interrupted := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // the socket is open until stop returns
		close(interrupted)
	})
	return func() {
		if !cancel() {
			<-interrupted
		}
	}
}

// get returns an idle socket on the path's interface with an empty receive buffer, or a new one.
func (p *socketPool[S]) get(path health.Path) (S, error) {
	for {
		s, ok := p.pop(path)
		if !ok {
			return p.open(path)
		}
		if s.drain() == nil {
			return s, nil
		}
		s.Close()
	}
}

func (p *socketPool[S]) pop(path health.Path) (s S, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for idle := p.idle[path.Link]; len(idle) > 0 && !ok; {
		last := idle[len(idle)-1]
		idle = idle[:len(idle)-1]
		p.idle[path.Link] = idle
		if last.index == path.Index {
			s, ok = last.socket, true
		} else {
			last.socket.Close()
		}
	}
	return s, ok
}

// put returns a working socket to the pool and closes those that were idle for too long.
func (p *socketPool[S]) put(path health.Path, s S) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle[path.Link] = append(p.idle[path.Link], idleSocket[S]{s, path.Index, now})
	if now.Sub(p.lastSweep) >= idleTimeout {
		p.lastSweep = now
		p.sweep(now.Add(-idleTimeout))
	}
}

// close closes all sockets. No probe may be running.
func (p *socketPool[S]) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, idle := range p.idle {
		for _, r := range idle {
			r.socket.Close()
		}
	}
	clear(p.idle)
}

// sweep closes the sockets that have been idle since before that time.
func (p *socketPool[S]) sweep(before time.Time) {
	for link, idle := range p.idle {
		kept := slices.DeleteFunc(idle, func(r idleSocket[S]) bool {
			old := r.idleSince.Before(before)
			if old {
				r.socket.Close()
			}
			return old
		})
		if p.idle[link] = kept; len(kept) == 0 {
			delete(p.idle, link)
		}
	}
}
