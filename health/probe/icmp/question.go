package icmp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// question is one echo request, and what has become of it.
type question struct {
	id uint16
	to netip.Addr

	left    chan struct{} // closed when it has left, or could not
	refused error         // valid from then on

	heard chan struct{} // closed when its answer has come
	came  arrival       // valid from then on

	mu    sync.Mutex
	put   bool
	sent  time.Time // valid when put, like what follows
	stamp stamp
	odd   error // what is wrong with what came in its answer's stead
}

// stamp is what tells the answer to a question from those to others of the same identifier.
type stamp struct {
	tracker [trackerSize]byte // of the pinger
	seq     uint16
}

// What an echo consists of: its header, and then the data that the library sends.
const (
	headerSize  = 8
	timeSize    = 8
	trackerSize = 16
	echoSize    = headerSize + timeSize + trackerSize
)

// arrival is how an answer came.
type arrival struct {
	at    time.Time
	index int // of the link
}

func newQuestion(id uint16, to netip.Addr) *question {
	return &question{id: id, to: to, left: make(chan struct{}), heard: make(chan struct{})}
}

// leaves notes that the question is about to be sent.
func (q *question) leaves(s stamp) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put, q.sent, q.stamp = true, time.Now(), s
}

// done notes that the question has left, or why it could not.
func (q *question) done(err error) {
	q.refused = err
	close(q.left)
}

// hear takes an echo reply with the question's identifier that came from its target. An answer to an earlier question is
// none, and nor is a second copy.
func (q *question) hear(reply []byte, came arrival) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.put || q.answered() || binary.BigEndian.Uint16(reply[6:]) != q.stamp.seq {
		return
	}
	switch {
	case len(reply) == headerSize:
		q.odd = errOwn
	case len(reply) != echoSize:
	case !slices.Equal(reply[headerSize+timeSize:], q.stamp.tracker[:]):
		q.odd = errChanged
	default:
		q.came = came
		close(q.heard)
	}
}

// What may come in an answer's stead.
var (
	errOwn     = errors.New("the answer came in by no link: is it an address of this host?")
	errChanged = errors.New("what came is no answer to this question")
)

func (q *question) answer() answer { return answer{q.id, q.to.WithZone("")} }

func (q *question) answered() bool {
	select {
	case <-q.heard:
		return true
	default:
		return false
	}
}

// fate is when the question was sent, and what is wrong with what came in its answer's stead.
func (q *question) fate() (sent time.Time, odd error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sent, q.odd
}
