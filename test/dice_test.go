package test

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

// seededRand are chance that can be replayed: the test says how.
func seededRand(t *testing.T) *rand.Rand {
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

// durations are measurements of the same thing.
type durations []time.Duration

// percentile is the smallest measurement that so many percent are not above.
func (d durations) percentile(p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// String has the figures that say most.
func (d durations) String() string {
	return fmt.Sprintf("%d measured: p50 %s, p99 %s, max %s", len(d), roundDuration(d.percentile(50)), roundDuration(d.percentile(99)), roundDuration(d.percentile(100)))
}

func roundDuration(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// eventually asks again and again, and says how long it took; it fails when that is longer than the bound.
func eventually(t *testing.T, bound time.Duration, condition string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > bound {
			t.Fatalf("after %s still not: %s", bound, condition)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}
