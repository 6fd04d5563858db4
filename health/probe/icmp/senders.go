package icmp

import (
	"context"
	"net/netip"
	"sync"

	"replypath/health"
	"replypath/health/probe/socket"
	"replypath/marks"
	"replypath/uplinks"
)

// senders are those that take questions.
type senders struct {
	ctx context.Context
	end context.CancelFunc // of them all; it does not wait for it

	mu sync.Mutex
	by map[way]*sender
}

// way is what the questions of a sender have in common.
type way struct {
	family uplinks.Family
	mark   marks.Mark
	source netip.Addr
	index  int // of the link
}

func wayOf(p health.Path) way { return way{p.Family, p.Mark, p.Source, p.Index} }

func newSenders() *senders {
	s := &senders{by: map[way]*sender{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// put sends the question through the path. When ctx is done the question may leave nevertheless.
func (s *senders) put(ctx context.Context, p health.Path, q *question) error {
	for {
		by := s.of(p)
		select {
		case by.next <- q:
			select {
			case <-q.left:
				return explain(p, q.refused)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case <-by.ended:
			if by.put == nil && by.refused != nil {
				return explain(p, by.refused)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func explain(p health.Path, err error) error {
	if err == nil {
		return nil
	}
	return socket.Explain(p, err)
}

// of is the path's sender. It may end before it takes a question.
func (s *senders) of(p health.Path) *sender {
	w := wayOf(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.by[w]; ok {
		return known
	}
	begun := newSender(p)
	s.by[w] = begun
	go func() {
		defer s.drop(w, begun)
		begun.run(s.ctx)
	}()
	return begun
}

func (s *senders) drop(w way, ended *sender) {
	s.mu.Lock()
	delete(s.by, w)
	s.mu.Unlock()
	close(ended.ended)
}
