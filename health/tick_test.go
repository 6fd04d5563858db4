package health

import (
	"testing"
	"time"
)

func TestTicksAreMultiplesOfTheInterval(t *testing.T) {
	const interval = 250 * time.Millisecond
	tick := time.Date(2026, 3, 4, 9, 0, 1, 0, time.UTC)
	for after, want := range map[time.Duration]time.Duration{
		0: 0, time.Microsecond: 0, 3 * time.Millisecond: 0, interval - 2*time.Millisecond: 0,
		// A timer for the tick, by a clock that is a little behind, is not followed by another one for the same tick.
		interval - time.Microsecond: interval, interval: interval, interval + 100*time.Millisecond: interval,
	} {
		now := tick.Add(after)
		if last := LastTick(now, interval); !last.Equal(tick.Add(want)) {
			t.Errorf("%s after a tick the last one was %s after it", after, last.Sub(tick))
		}
		if until := UntilTick(now, interval); !now.Add(until).Equal(tick.Add(want + interval)) {
			t.Errorf("%s after a tick the next one is in %s", after, until)
		}
	}
}
