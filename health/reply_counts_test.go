package health_test

import (
	"math/rand/v2"
	"testing"

	"replypath/health"
)

// The counter is reset at random times, with and without an announcement.
func TestCumulativeRepliesLoseNoObservedReply(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	for range 200 {
		var replies health.CumulativeReplies
		var counter, want health.ReplyCounts
		for range 100 {
			switch r.IntN(5) {
			case 0: // announced, after a reading
				want = replies.Observe(counter)
				replies.Reset()
				counter = health.ReplyCounts{}
			case 1: // not announced, detected as the new count is lower
				want = replies.Observe(counter)
				if counter.Symmetric > 0 {
					counter = health.ReplyCounts{Symmetric: r.Uint64N(counter.Symmetric)}
					want.Symmetric += counter.Symmetric
				}
			default:
				more := health.ReplyCounts{Symmetric: r.Uint64N(10), Stray: r.Uint64N(3)}
				counter.Symmetric, counter.Stray = counter.Symmetric+more.Symmetric, counter.Stray+more.Stray
				want.Symmetric, want.Stray = want.Symmetric+more.Symmetric, want.Stray+more.Stray
			}
			if got := replies.Observe(counter); got != want || replies.Total() != want {
				t.Fatalf("seed %d: the total is %+v, want %+v", seed, got, want)
			}
		}
	}
}
