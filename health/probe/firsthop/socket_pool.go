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

// socketPool keeps sockets from one question to the next: to open and close one costs the kernel more than the question. Each is
// used by one question at a time, and none for a link that was made anew under its name.
type socketPool[S probeSocket] struct {
	open func(health.Path) (S, error)

	mu        sync.Mutex
	idle      map[string][]idleSocket[S] // by the link's name
	lastSweep time.Time
}

// probeSocket is a socket that asks and hears answers.
type probeSocket interface {
	io.Closer
	SetReadDeadline(time.Time) error
	// ask asks the path's gateway once, and waits until it answers or the deadline is over.
	probe(health.Path) (sent time.Time, took time.Duration, err error)
	// forget drops what was heard since the last question: it is no answer to the next.
	drain() error
}

type idleSocket[S probeSocket] struct {
	socket    S
	index     int // of the link
	idleSince time.Time
}

// idleTimeout is how long a socket is kept that no question needs.
const idleTimeout = time.Minute

func newSocketPool[S probeSocket](open func(health.Path) (S, error)) *socketPool[S] {
	return &socketPool[S]{open: open, idle: map[string][]idleSocket[S]{}, lastSweep: time.Now()}
}

// probe asks the path's gateway once, and waits until it answers or ctx is done.
func (p *socketPool[S]) probe(ctx context.Context, path health.Path) (sent time.Time, rtt time.Duration, err error) {
	s, err := p.get(path)
	if err != nil {
		return time.Now(), 0, err
	}
	stop := interruptWhenDone(ctx, s)
	sent, rtt, err = s.probe(path)
	stop()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.put(path, s)
	} else {
		s.Close()
	}
	return sent, rtt, err
}

// interruptWhenDone ends the socket's wait when ctx is done. After release nothing ends it any more.
func interruptWhenDone(ctx context.Context, s probeSocket) (stop func()) {
	interrupted := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // it is open until release
		close(interrupted)
	})
	return func() {
		if !cancel() {
			<-interrupted
		}
	}
}

// get gives a socket on the path's link that has heard nothing yet.
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

// put takes a socket back that did what it should, for the next question.
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

// close closes all sockets. No question may be under way.
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

// sweep closes the sockets that have rested since before then.
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
