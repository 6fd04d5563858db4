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

// pool keeps sockets from one question to the next: to open and close one costs the kernel more than the question. Each is
// used by one question at a time, and none for a link that was made anew under its name.
type pool[S ear] struct {
	open func(health.Path) (S, error)

	mu    sync.Mutex
	idle  map[string][]resting[S] // by the link's name
	swept time.Time
}

// ear is a socket that asks and hears answers.
type ear interface {
	io.Closer
	SetReadDeadline(time.Time) error
	// ask asks the path's gateway once, and waits until it answers or the deadline is over.
	ask(health.Path) (sent time.Time, took time.Duration, err error)
	// forget drops what was heard since the last question: it is no answer to the next.
	forget() error
}

type resting[S ear] struct {
	socket S
	index  int // of the link
	since  time.Time
}

// unused is how long a socket is kept that no question needs.
const unused = time.Minute

func newPool[S ear](open func(health.Path) (S, error)) *pool[S] {
	return &pool[S]{open: open, idle: map[string][]resting[S]{}, swept: time.Now()}
}

// ask asks the path's gateway once, and waits until it answers or ctx is done.
func (p *pool[S]) ask(ctx context.Context, at health.Path) (sent time.Time, took time.Duration, err error) {
	s, err := p.take(at)
	if err != nil {
		return time.Now(), 0, err
	}
	release := until(ctx, s)
	sent, took, err = s.ask(at)
	release()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.put(at, s)
	} else {
		s.Close()
	}
	return sent, took, err
}

// until ends the socket's wait when ctx is done. After release nothing ends it any more.
func until(ctx context.Context, s ear) (release func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // it is open until release
		close(ended)
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// take gives a socket on the path's link that has heard nothing yet.
func (p *pool[S]) take(at health.Path) (S, error) {
	for {
		s, ok := p.pop(at)
		if !ok {
			return p.open(at)
		}
		if s.forget() == nil {
			return s, nil
		}
		s.Close()
	}
}

func (p *pool[S]) pop(at health.Path) (s S, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for of := p.idle[at.Link]; len(of) > 0 && !ok; {
		last := of[len(of)-1]
		of = of[:len(of)-1]
		p.idle[at.Link] = of
		if last.index == at.Index {
			s, ok = last.socket, true
		} else {
			last.socket.Close()
		}
	}
	return s, ok
}

// put takes a socket back that did what it should, for the next question.
func (p *pool[S]) put(at health.Path, s S) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle[at.Link] = append(p.idle[at.Link], resting[S]{s, at.Index, now})
	if now.Sub(p.swept) >= unused {
		p.swept = now
		p.sweep(now.Add(-unused))
	}
}

// close closes all sockets. No question may be under way.
func (p *pool[S]) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, of := range p.idle {
		for _, r := range of {
			r.socket.Close()
		}
	}
	clear(p.idle)
}

// sweep closes the sockets that have rested since before then.
func (p *pool[S]) sweep(then time.Time) {
	for link, of := range p.idle {
		kept := slices.DeleteFunc(of, func(r resting[S]) bool {
			old := r.since.Before(then)
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
