package uplinks_test

import (
	"math/rand/v2"
	"testing"
)

// newRand returns a random source with a fixed seed, which it logs.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	const seed = 31
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}
