package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// rounds runs a loop and notes when its rounds begin.
func rounds(t *testing.T, next func(n int) time.Duration, drive func(l *Loop)) (at []time.Duration, whys []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	began := time.Now()
	l := NewLoop(func(_ context.Context, why string) time.Duration {
		at, whys = append(at, time.Since(began)), append(whys, why)
		return next(len(at))
	})
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	drive(l)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the loop ended with %v", err)
	}
	return at, whys
}

func never(int) time.Duration { return 0 }

func TestABurstIsOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, whys := rounds(t, never, func(l *Loop) {
			for range 100 {
				l.Nudge("rule")
			}
			time.Sleep(time.Second)
		})
		if len(at) != 1 || at[0] > settle+time.Millisecond || whys[0] != "rule" {
			t.Errorf("rounds at %v because of %v", at, whys)
		}
	})
}

func TestAStormDoesNotDelayARoundBeyondTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, _ := rounds(t, never, func(l *Loop) {
			for range 1000 {
				l.Nudge("route")
				time.Sleep(time.Millisecond)
			}
		})
		if len(at) < 15 || at[0] > bound+time.Millisecond {
			t.Errorf("%d rounds in a second, the first after %v", len(at), at[0])
		}
	})
}

func TestSilenceIsLookedIntoAnyway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, whys := rounds(t, never, func(*Loop) { time.Sleep(3*refresh + time.Second) })
		if len(at) != 3 || whys[0] != "refresh" {
			t.Errorf("rounds at %v because of %v", at, whys)
		}
	})
}

func TestARoundSaysWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := func(n int) time.Duration {
			if n == 1 {
				return time.Second
			}
			return 0
		}
		at, _ := rounds(t, again, func(l *Loop) {
			l.Nudge("start")
			time.Sleep(2 * time.Second)
		})
		if len(at) != 2 || at[1]-at[0] != time.Second {
			t.Errorf("rounds at %v", at)
		}
	})
}
