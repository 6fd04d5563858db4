package health_test

import (
	"math/rand/v2"
	"testing"

	"replypath/health"
)

// TestTallyLosesNothingThatWasRead has a counter that goes on, and begins anew, with and without being told.
func TestTallyLosesNothingThatWasRead(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	for range 200 {
		var tally health.Tally
		var counter, want health.Seen
		for range 100 {
			switch r.IntN(5) {
			case 0: // told, just read
				want = tally.Read(counter)
				tally.Renew()
				counter = health.Seen{}
			case 1: // not told, and seen because less was counted since
				want = tally.Read(counter)
				if counter.Symmetric > 0 {
					counter = health.Seen{Symmetric: r.Uint64N(counter.Symmetric)}
					want.Symmetric += counter.Symmetric
				}
			default:
				more := health.Seen{Symmetric: r.Uint64N(10), Stray: r.Uint64N(3)}
				counter.Symmetric, counter.Stray = counter.Symmetric+more.Symmetric, counter.Stray+more.Stray
				want.Symmetric, want.Stray = want.Symmetric+more.Symmetric, want.Stray+more.Stray
			}
			if got := tally.Read(counter); got != want || tally.Sum() != want {
				t.Fatalf("seed %d: the tally says %+v, want %+v", seed, got, want)
			}
		}
	}
}
