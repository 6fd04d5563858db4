package firsthop

import (
	"slices"
	"sync"
	"time"

	"replypath/health"
	"replypath/health/probe/socket"
	"replypath/uplinks/egress"
)

// requests are the requests of a family that wait for their replies. Safe for concurrent use.
type requests struct {
	isFor func(q *request, message []byte) bool // reports whether a message of the gateway replies to the request; nil: each does
	lost  func(q *request)                      // is called before a request ends without a reply; nil: nothing is

	mu      sync.Mutex
	waiting map[egress.LinkAddr]*request // the first one of each gateway
	timers  health.Timers
	timer   health.Timer // calls expire
	timerAt time.Time    // when it does; zero: it has, or is not needed
}

// request is a request for the hardware address of a gateway. It ends once: with a reply, or an error without one.
type request struct {
	gateway  egress.LinkAddr
	path     *health.Path
	hardware []byte // of the link of the path
	timeout  time.Duration
	ignored  string // a hardware address from which a reply does not count; empty: none
	batch    *batch
	n        int // in the batch

	sent time.Time
	next *request // that waits for the same gateway
}

// reply is the reply to a probe. Without one only the time of the request is set.
type reply struct {
	sent time.Time
	took time.Duration
	mac  string // of the gateway, raw; empty: not in the reply
}

// expiry returns when the request ends without a reply; it must have a timeout.
func (q *request) expiry() time.Time { return q.sent.Add(q.timeout) }

// expired reports whether the timeout has passed by then.
func (q *request) expired(then time.Time) bool { return q.timeout > 0 && !q.expiry().After(then) }

// begin makes the request wait for its reply. It is sent afterwards, or aborted.
func (r *requests) begin(q *request) {
	q.sent = time.Now()
	r.add(q)
}

// fail ends the request, which is not waiting any more, without a reply.
func (r *requests) fail(q *request, err error, ended *endings) {
	if r.lost != nil {
		r.lost(q)
	}
	ended.add(q, reply{sent: q.sent}, err)
}

func (r *requests) add(q *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[egress.LinkAddr]*request{}
	}
	if first := r.waiting[q.gateway]; first == nil {
		r.waiting[q.gateway] = q
	} else {
		first.last().next = q
	}
	if q.timeout > 0 {
		r.setTimer(q.expiry(), q.sent)
	}
}

// last returns the last request that waits for the same gateway.
func (q *request) last() *request {
	for q.next != nil {
		q = q.next
	}
	return q
}

// setTimer makes expire run at that time, unless it will run earlier. Its caller holds mu.
func (r *requests) setTimer(at, now time.Time) {
	if !r.timerAt.IsZero() && !at.Before(r.timerAt) {
		return
	}
	r.timerAt = at
	if r.timer == nil {
		r.timer = r.timers.New(r.expire)
	}
	r.timer.Reset(at.Sub(now))
}

// expiresTogether is how much earlier than its timeout a request without a reply may end: requests that were sent by one wake-up of the
// process end by one, which also sends the next ones where the timeout is the interval.
const expiresTogether = 5 * time.Millisecond

// expire ends the requests whose timeout has passed, or will within expiresTogether.
func (r *requests) expire() {
	var ended endings
	for _, q := range r.takeExpired(time.Now().Add(expiresTogether)) {
		r.fail(q, socket.TimeoutError(q.timeout), &ended)
	}
	ended.flush()
}

// takeExpired removes and returns the requests whose timeout has passed by then, in the order of sending, and sets the timer for the
// others.
func (r *requests) takeExpired(then time.Time) (expired []*request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timerAt = time.Time{}
	var next time.Time
	for gateway := range r.waiting {
		for q := r.take(gateway, func(q *request) bool { return q.expired(then) }); q != nil; q = q.next {
			expired = append(expired, q)
		}
		for q := r.waiting[gateway]; q != nil; q = q.next {
			if q.timeout > 0 && (next.IsZero() || q.expiry().Before(next)) {
				next = q.expiry()
			}
		}
	}
	if !next.IsZero() {
		r.setTimer(next, time.Now())
	} else if r.timer != nil {
		r.timer.Stop()
	}
	slices.SortFunc(expired, func(a, b *request) int { return a.sent.Compare(b.sent) })
	return expired
}

// take removes the requests of the gateway that match, and returns the first one, in the order of sending. Its caller holds mu.
func (r *requests) take(gateway egress.LinkAddr, matches func(*request) bool) (taken *request) {
	var left *request
	toTaken, toLeft := &taken, &left
	for q := r.waiting[gateway]; q != nil; q = q.next {
		to := &toLeft
		if matches(q) {
			to = &toTaken
		}
		**to, *to = q, &q.next
	}
	*toTaken, *toLeft = nil, nil
	if left == nil {
		delete(r.waiting, gateway)
	} else {
		r.waiting[gateway] = left
	}
	return taken
}

// abort ends the request with the error, unless it has ended.
func (r *requests) abort(q *request, err error, ended *endings) {
	if r.remove(q) {
		r.fail(q, err, ended)
	}
}

// remove removes the request; it returns false if that has ended.
func (r *requests) remove(q *request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.take(q.gateway, func(x *request) bool { return x == q }) != nil
}

// receive ends the requests that a message of the gateway, which has this hardware address, replies to.
func (r *requests) receive(gateway egress.LinkAddr, message, mac []byte, now time.Time, ended *endings) {
	for q := r.takeAnswered(gateway, message, mac); q != nil; {
		next := q.next
		q.next = nil
		ended.add(q, reply{q.sent, now.Sub(q.sent), string(mac)}, nil)
		q = next
	}
}

// takeAnswered removes the requests that the message from the hardware address replies to, and returns the first one. The timer stops
// with the last request that waits.
func (r *requests) takeAnswered(gateway egress.LinkAddr, message, mac []byte) (answered *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[gateway] == nil {
		return nil
	}
	answered = r.take(gateway, func(q *request) bool {
		return (r.isFor == nil || r.isFor(q, message)) && (q.ignored == "" || q.ignored != string(mac))
	})
	if len(r.waiting) == 0 && r.timer != nil {
		r.timer.Stop()
		r.timerAt = time.Time{}
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
