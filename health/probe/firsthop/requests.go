package firsthop

import (
	"slices"
	"sync"
	"time"

	"replypath/health/probe/socket"
	"replypath/uplinks/egress"
)

// requests are the requests of a family that wait for their replies. Safe for concurrent use.
type requests struct {
	mu      sync.Mutex
	waiting map[egress.LinkAddr][]*request
	timer   *time.Timer // calls expire
	timerAt time.Time   // when it does; zero: it has, or is not needed
}

// request is a request for the hardware address of a gateway. It ends once: with a reply, or an error without one.
type request struct {
	gateway egress.LinkAddr
	isFor   func(message []byte) bool // reports whether a message of the gateway replies to this request; nil: each does
	timeout time.Duration             // zero: none
	lost    func()                    // is called before end when there is no reply; nil: nothing is
	end     func(reply, error)        // must not block

	sent time.Time
}

// reply is the reply to a probe. Without one only the time of the request is set.
type reply struct {
	sent time.Time
	took time.Duration
	mac  string // of the gateway, raw; empty: not in the reply
}

// expiry returns when the request ends without a reply; it must have a timeout.
func (q *request) expiry() time.Time { return q.sent.Add(q.timeout) }

// expired reports whether the timeout has passed.
func (q *request) expired(now time.Time) bool { return q.timeout > 0 && !q.expiry().After(now) }

// begin sends the request, which then waits for its reply. send is called once, when replies are received.
func (r *requests) begin(q *request, send func() error) {
	q.sent = time.Now()
	r.add(q)
	if err := send(); err != nil {
		r.abort(q, err)
	}
}

// fail ends the request, which is not waiting any more, without a reply.
func (q *request) fail(err error) {
	if q.lost != nil {
		q.lost()
	}
	q.end(reply{sent: q.sent}, err)
}

func (r *requests) add(q *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[egress.LinkAddr][]*request{}
	}
	r.waiting[q.gateway] = append(r.waiting[q.gateway], q)
	if q.timeout > 0 {
		r.setTimer(q.expiry(), q.sent)
	}
}

// setTimer makes expire run at that time, unless it will run earlier. Its caller holds mu.
func (r *requests) setTimer(at, now time.Time) {
	if !r.timerAt.IsZero() && !at.Before(r.timerAt) {
		return
	}
	r.timerAt = at
	if r.timer == nil {
		r.timer = time.AfterFunc(at.Sub(now), r.expire)
		return
	}
	r.timer.Reset(at.Sub(now))
}

// expire ends the requests whose timeout has passed.
func (r *requests) expire() {
	for _, q := range r.takeExpired(time.Now()) {
		q.fail(socket.TimeoutError(q.timeout))
	}
}

// takeExpired removes and returns the requests whose timeout has passed, in the order of sending, and sets the timer for the others.
func (r *requests) takeExpired(now time.Time) (expired []*request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timerAt = time.Time{}
	var next time.Time
	for gateway, all := range r.waiting {
		for _, q := range all {
			switch {
			case q.expired(now):
				expired = append(expired, q)
			case q.timeout > 0 && (next.IsZero() || q.expiry().Before(next)):
				next = q.expiry()
			}
		}
		r.waiting[gateway] = slices.DeleteFunc(all, func(q *request) bool { return q.expired(now) })
		if len(r.waiting[gateway]) == 0 {
			delete(r.waiting, gateway)
		}
	}
	if !next.IsZero() {
		r.setTimer(next, now)
	}
	slices.SortFunc(expired, func(a, b *request) int { return a.sent.Compare(b.sent) })
	return expired
}

// abort ends the request with the error, unless it has ended.
func (r *requests) abort(q *request, err error) {
	if r.remove(q) {
		q.fail(err)
	}
}

// remove removes the request; it returns false if that has ended.
func (r *requests) remove(q *request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.waiting[q.gateway]
	left := slices.DeleteFunc(all, func(x *request) bool { return x == q })
	if r.waiting[q.gateway] = left; len(left) == 0 {
		delete(r.waiting, q.gateway)
	}
	return len(left) < len(all)
}

// receive passes a message of the gateway, which has this hardware address, to the requests that it replies to.
func (r *requests) receive(gateway egress.LinkAddr, message []byte, mac string) {
	now := time.Now()
	for _, q := range r.takeAnswered(gateway, message) {
		q.end(reply{q.sent, now.Sub(q.sent), mac}, nil)
	}
}

// takeAnswered removes and returns the requests that the message replies to.
func (r *requests) takeAnswered(gateway egress.LinkAddr, message []byte) (answered []*request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, found := r.waiting[gateway]
	if !found {
		return nil
	}
	left := all[:0]
	for _, q := range all {
		if q.isFor == nil || q.isFor(message) {
			answered = append(answered, q)
		} else {
			left = append(left, q)
		}
	}
	clear(all[len(left):])
	if r.waiting[gateway] = left; len(left) == 0 {
		delete(r.waiting, gateway)
	}
	return answered
}

// close stops the timer. Requests that wait do not end any more.
func (r *requests) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	r.waiting = nil
}
