package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
)

func TestKernelTimerFiresAsItWasSet(t *testing.T) {
	fired := make(chan time.Time, 10)
	timer := newKernelTimer(func() { fired <- time.Now() })
	if _, is := timer.(*kernelTimer); !is {
		t.Fatalf("it is a %T", timer)
	}
	if timer.Reset(time.Hour) || !timer.Stop() || timer.Stop() {
		t.Error("a timer runs before it is set, or after it was stopped")
	}
	for _, after := range []time.Duration{20 * time.Millisecond, 0} {
		timer.Reset(time.Hour)
		set := time.Now()
		timer.Reset(after)
		if took := (<-fired).Sub(set); took < after {
			t.Errorf("it fired after %s, want %s", took, after)
		}
		if len(fired) > 0 || timer.Stop() {
			t.Error("it fires again")
		}
	}
}

// Components that began at different times wait for the same times.
func TestTicksAreTheSameForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 250 * time.Millisecond
		for _, after := range []time.Duration{0, 3 * time.Millisecond, 100 * time.Millisecond, 249 * time.Millisecond} {
			time.Sleep(after)
			ticks, began := newTicks(nil), time.Now()
			for range 3 {
				if err := ticks.await(t.Context(), time.Now(), interval); err != nil {
					t.Fatal(err)
				}
				if now := time.Now(); !now.Equal(health.LastTick(now, interval)) {
					t.Errorf("woken up %s after a tick", now.Sub(health.LastTick(now, interval)))
				}
			}
			if took := time.Since(began); took < 2*interval || took > 3*interval {
				t.Errorf("three ticks took %s", took)
			}
			// A poll that took longer than the interval is followed by the next one at once.
			time.Sleep(interval + time.Millisecond)
			late := time.Now()
			if err := ticks.await(t.Context(), late.Add(-interval-time.Millisecond), interval); err != nil || time.Since(late) > 0 {
				t.Errorf("%s after a late poll, %v", time.Since(late), err)
			}
		}
	})
}
