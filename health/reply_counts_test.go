package health_test

import (
	"math/rand/v2"
	"testing"

	"replypath/health"
)

// TestCumulativeRepliesLoseNoObservedReply has a counter that goes on, and begins anew, with and without being told.
func TestCumulativeRepliesLoseNoObservedReply(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	for range 200 {
		var tally health.CumulativeReplies
		var counter, want health.ReplyCounts
		for range 100 {
			switch r.IntN(5) {
			case 0: // told, just read
				want = tally.Observe(counter)
				tally.Reset()
				counter = health.ReplyCounts{}
			case 1: // not told, and seen because less was counted since
				want = tally.Observe(counter)
				if counter.Symmetric > 0 {
					counter = health.ReplyCounts{Symmetric: r.Uint64N(counter.Symmetric)}
					want.Symmetric += counter.Symmetric
				}
			default:
				more := health.ReplyCounts{Symmetric: r.Uint64N(10), Stray: r.Uint64N(3)}
				counter.Symmetric, counter.Stray = counter.Symmetric+more.Symmetric, counter.Stray+more.Stray
				want.Symmetric, want.Stray = want.Symmetric+more.Symmetric, want.Stray+more.Stray
			}
			if got := tally.Observe(counter); got != want || tally.Total() != want {
				t.Fatalf("seed %d: the tally says %+v, want %+v", seed, got, want)
			}
		}
	}
}
