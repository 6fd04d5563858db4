package health

import "time"

// tickTolerance is how far from a tick a time may be that is meant to be one: timers and the clock do not agree exactly.
const tickTolerance = time.Millisecond

// LastTick returns the last multiple of the interval that the wall clock has reached, or is about to. What is done at ticks is done by one
// wake-up of the process, which costs more than most work, in whichever component.
func LastTick(t time.Time, interval time.Duration) time.Time {
	tolerance := min(tickTolerance, interval/8)
	return t.Add(tolerance - time.Duration((t.UnixNano()+int64(tolerance))%int64(interval)))
}

// UntilTick returns the time until the next multiple of the interval.
func UntilTick(now time.Time, interval time.Duration) time.Duration {
	return LastTick(now, interval).Add(interval).Sub(now)
}
