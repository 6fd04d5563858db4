package box

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// seedVariable replays what a test did by chance.
const seedVariable = "REPLYPATH_SEED"

// SeededRand returns a random source, and logs the seed that replays it.
func SeededRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text, ok := os.LookupEnv(seedVariable); ok {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("replay: %s=%d", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Durations are measurements of the same thing.
type Durations []time.Duration

// Percentile returns the smallest measurement that so many percent are not above.
func (d Durations) Percentile(p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// String returns their number and percentiles.
func (d Durations) String() string {
	return fmt.Sprintf("%d measured: p50 %s, p99 %s, max %s", len(d), RoundDuration(d.Percentile(50)), RoundDuration(d.Percentile(99)), RoundDuration(d.Percentile(100)))
}

// RoundDuration rounds to a tenth of a millisecond, for log output.
func RoundDuration(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// Eventually polls until done reports true, and returns how long it took. It fails the test when that is longer than the bound.
func Eventually(t *testing.T, bound time.Duration, condition string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		asked := time.Now()
		if done() {
			return time.Since(began)
		}
		if time.Since(began) > bound {
			t.Fatalf("after %s still not: %s", bound, condition)
		}
		time.Sleep(pollPause(time.Since(asked), time.Since(began)))
	}
}

// pollPause returns the pause after a poll that has taken so long, of a condition that was waited for so long. A poll that runs a program
// takes most of a CPU from what it waits for, and from the tests beside it, unless the pause is longer than the poll; so do thousands of
// short ones, in a wait of seconds.
func pollPause(took, waited time.Duration) time.Duration {
	return min(max(2*took, waited/20, time.Millisecond), longestPollPause)
}

// longestPollPause bounds how much later than it is true a condition is found.
const longestPollPause = 50 * time.Millisecond

// EventualTimeout bounds on any machine what must happen at last; how soon is for the bench.
const EventualTimeout = 2 * time.Minute
