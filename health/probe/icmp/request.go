package icmp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// request is one echo request and its reply.
type request struct {
	id  uint16
	dst netip.Addr

	written  chan struct{} // closed when the request was sent or could not be sent
	writeErr error         // valid after written is closed

	answered chan struct{} // closed when the reply has arrived
	reply    arrival       // valid after answered is closed

	mu       sync.Mutex
	sending  bool
	sentAt   time.Time // valid when sending, as are the following
	stamp    stamp
	mismatch error // why an echo reply with the request's identifier was not accepted
}

// stamp distinguishes the reply to a request from the replies to other requests with the same identifier.
type stamp struct {
	tracker [trackerLen]byte // of the pinger
	seq     uint16
}

// The layout of pro-bing's echo messages: the ICMP header, the send time, and the pinger's UUID.
const (
	headerLen  = 8
	timeLen    = 8
	trackerLen = 16
	echoLen    = headerLen + timeLen + trackerLen
)

// arrival is when a reply arrived, and on which interface.
type arrival struct {
	at      time.Time
	ifindex int
}

func newRequest(id uint16, dst netip.Addr) *request {
	return &request{id: id, dst: dst, written: make(chan struct{}), answered: make(chan struct{})}
}

// markSending records that the request is about to be sent. The reply may arrive before the send call returns.
func (r *request) markSending(s stamp) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sending, r.sentAt, r.stamp = true, time.Now(), s
}

// finishSending records the result of the send call.
func (r *request) finishSending(err error) {
	r.writeErr = err
	close(r.written)
}

// accept records the reply if the echo reply, which has the request's identifier and comes from its destination, answers
// it. Replies to earlier requests and duplicates are ignored.
func (r *request) accept(echo []byte, at arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sending || r.isAnswered() || binary.BigEndian.Uint16(echo[6:]) != r.stamp.seq {
		return
	}
	switch {
	case len(echo) == headerLen:
		r.mismatch = errLoopback
	case len(echo) != echoLen:
	case !slices.Equal(echo[headerLen+timeLen:], r.stamp.tracker[:]):
		r.mismatch = errPayload
	default:
		r.reply = at
		close(r.answered)
	}
}

var (
	errLoopback = errors.New("the reply arrived on lo: the target is an address of this host")
	errPayload  = errors.New("an echo reply arrived whose payload is not that of the request")
)

// key returns the key by which the ingress observer finds the request.
func (r *request) key() replyKey { return replyKey{r.id, r.dst.WithZone("")} }

func (r *request) isAnswered() bool {
	select {
	case <-r.answered:
		return true
	default:
		return false
	}
}

// status returns when the request was sent, and why a reply was not accepted.
func (r *request) status() (sentAt time.Time, mismatch error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sentAt, r.mismatch
}
