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

// senderPool has one sender for each path that was probed recently.
type senderPool struct {
	ctx    context.Context
	cancel context.CancelFunc // ends all senders, without waiting for them

	mu      sync.Mutex
	senders map[senderKey]*sender
}

// senderKey is what the requests of a sender have in common.
type senderKey struct {
	family  uplinks.Family
	mark    marks.Mark
	source  netip.Addr
	ifindex int
}

func keyOf(p health.Path) senderKey { return senderKey{p.Family, p.Mark, p.Source, p.Index} }

func newSenderPool() *senderPool {
	s := &senderPool{senders: map[senderKey]*sender{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// send sends the request through the path. When ctx is done it returns at once, although the request may still be sent.
func (s *senderPool) send(ctx context.Context, p health.Path, r *request) error {
	for {
		sender := s.sender(p)
		select {
		case sender.requests <- r:
			select {
			case <-r.written:
				return explain(p, r.writeErr)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case <-sender.done:
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

// sender returns the path's sender. The sender may end before it receives a request.
func (s *senderPool) sender(p health.Path) *sender {
	key := keyOf(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if running, ok := s.senders[key]; ok {
		return running
	}
	started := newSender(p)
	s.senders[key] = started
	go func() {
		defer s.remove(key, started)
		started.run(s.ctx)
	}()
	return started
}

func (s *senderPool) remove(key senderKey, ended *sender) {
	s.mu.Lock()
	delete(s.senders, key)
	s.mu.Unlock()
	close(ended.done)
}
