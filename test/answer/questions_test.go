package answer

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// questions are sent to all addresses of the uplinks, one after the other to each, until stop.
type questions struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu     sync.Mutex
	done   map[netip.Addr]int
	failed []string
}

// startQuestions sends questions, each in one packet.
func startQuestions(t *testing.T, b *box.Box) *questions {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	q := &questions{cancel: cancel, done: map[netip.Addr]int{}}
	for _, u := range b.Uplinks {
		for _, to := range u.Addrs() {
			q.done[to] = 0
			q.ended.Go(func() {
				for ctx.Err() == nil {
					request := box.NewRequest(world.KindUDP, to)
					request.NoResend = true
					q.record(to, b.Client.Send(request))
				}
			})
		}
	}
	t.Cleanup(func() { cancel(); q.ended.Wait() })
	return q
}

func (q *questions) record(to netip.Addr, a world.Reply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done[to]++
	if !a.OK {
		q.failed = append(q.failed, fmt.Sprintf("the question %d to %s: %v", q.done[to], to, a))
	}
}

// least returns the number of questions to the address to which the fewest have ended.
func (q *questions) least() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := -1
	for _, done := range q.done {
		if n < 0 || done < n {
			n = done
		}
	}
	return n
}

// await waits until more questions to each address have ended.
func (q *questions) await(t *testing.T) {
	t.Helper()
	before := q.least()
	box.Eventually(t, box.EventualTimeout, "questions are answered", func() bool { return q.least() >= before+20 })
}

// stop wants all questions to have been answered.
func (q *questions) stop(t *testing.T) {
	t.Helper()
	q.cancel()
	q.ended.Wait()
	for _, text := range q.failed {
		t.Error(text)
	}
	t.Logf("%v questions", q.done)
}
