package firsthop

import (
	"context"
	"slices"
	"sync"
	"time"

	"replypath/uplinks/egress"
)

// requests are the requests of a family that wait for their replies. Safe for concurrent use.
type requests struct {
	mu      sync.Mutex
	waiting map[egress.LinkAddr][]*request
}

// request is a request for the hardware address of a gateway.
type request struct {
	sent  time.Time
	isFor func(message []byte) bool // reports whether a message of the gateway replies to this request; nil: each does
	reply chan reply                // holds one
}

// reply is the reply to a probe. Without one only the time of the request is set.
type reply struct {
	sent time.Time
	took time.Duration
	mac  string // of the gateway, raw; empty: not in the reply
}

// ask sends the request and waits for the reply, until ctx is done. send is called once, when replies are received.
func (r *requests) ask(ctx context.Context, gateway egress.LinkAddr, isFor func([]byte) bool, send func() error) (reply, error) {
	q := &request{sent: time.Now(), isFor: isFor, reply: make(chan reply, 1)}
	r.add(gateway, q)
	defer r.remove(gateway, q)
	if err := send(); err != nil {
		return reply{sent: q.sent}, err
	}
	select {
	case answer := <-q.reply:
		return answer, nil
	case <-ctx.Done():
		return reply{sent: q.sent}, context.Cause(ctx)
	}
}

func (r *requests) add(gateway egress.LinkAddr, q *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[egress.LinkAddr][]*request{}
	}
	r.waiting[gateway] = append(r.waiting[gateway], q)
}

func (r *requests) remove(gateway egress.LinkAddr, q *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := slices.DeleteFunc(r.waiting[gateway], func(x *request) bool { return x == q })
	if r.waiting[gateway] = left; len(left) == 0 {
		delete(r.waiting, gateway)
	}
}

// receive passes a message of the gateway, which has this hardware address, to the requests that it replies to.
func (r *requests) receive(gateway egress.LinkAddr, message []byte, mac string) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.waiting[gateway] {
		if q.isFor != nil && !q.isFor(message) {
			continue
		}
		select {
		case q.reply <- reply{q.sent, now.Sub(q.sent), mac}:
		default: // it has one
		}
	}
}
