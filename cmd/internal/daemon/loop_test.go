package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// runLoop runs a loop and notes when its rounds begin.
func runLoop(t *testing.T, next func(n int) time.Duration, drive func(l *Loop)) (times []time.Duration, reasons []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	began := time.Now()
	l := NewLoop(func(_ context.Context, reason string) time.Duration {
		times, reasons = append(times, time.Since(began)), append(reasons, reason)
		return next(len(times))
	})
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	drive(l)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the loop ended with %v", err)
	}
	return times, reasons
}

func noNextRound(int) time.Duration { return 0 }

func TestBurstOfTriggersIsOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times, reasons := runLoop(t, noNextRound, func(l *Loop) {
			for range 100 {
				l.Trigger("rule")
			}
			time.Sleep(time.Second)
		})
		if len(times) != 1 || times[0] > debounce+time.Millisecond || reasons[0] != "rule" {
			t.Errorf("rounds at %v because of %v", times, reasons)
		}
	})
}

func TestTriggersDoNotDelayARoundBeyondMaxDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times, _ := runLoop(t, noNextRound, func(l *Loop) {
			for range 1000 {
				l.Trigger("route")
				time.Sleep(time.Millisecond)
			}
		})
		if len(times) < 15 || times[0] > maxDelay+time.Millisecond {
			t.Errorf("%d rounds in a second, the first after %v", len(times), times[0])
		}
	})
}

func TestResyncWithoutTriggers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times, reasons := runLoop(t, noNextRound, func(*Loop) { time.Sleep(3*resyncInterval + time.Second) })
		if len(times) != 3 || reasons[0] != "refresh" {
			t.Errorf("rounds at %v because of %v", times, reasons)
		}
	})
}

func TestRoundReturnsTimeOfTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := func(n int) time.Duration {
			if n == 1 {
				return time.Second
			}
			return 0
		}
		times, _ := runLoop(t, again, func(l *Loop) {
			l.Trigger("start")
			time.Sleep(2 * time.Second)
		})
		if len(times) != 2 || times[1]-times[0] != time.Second {
			t.Errorf("rounds at %v", times)
		}
	})
}
