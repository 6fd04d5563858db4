package daemon

import "time"

// tokenBucket bounds how often something is done: burst times at once, and rate times a second after that.
type tokenBucket struct {
	burst, rate float64
	tokens      float64
	filled      time.Time // when tokens was computed; zero: the bucket is full
}

// take reports whether it may be done now, and counts it.
func (b *tokenBucket) take(now time.Time) bool {
	if !b.has(now) {
		return false
	}
	b.tokens--
	return true
}

// has reports whether it may be done now.
func (b *tokenBucket) has(now time.Time) bool {
	if b.filled.IsZero() {
		b.tokens = b.burst
	} else {
		b.tokens = min(b.burst, b.tokens+b.rate*max(0, now.Sub(b.filled).Seconds()))
	}
	b.filled = now
	return b.tokens >= 1
}
