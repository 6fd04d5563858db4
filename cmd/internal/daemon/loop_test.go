package daemon

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks"
)

// recordedRounds is a RoundRunner that records when and why its rounds run.
type recordedRounds struct {
	began   time.Time
	next    func(n int) time.Duration // of the round n, from 1
	times   []time.Duration
	reasons []string

	failovers []string
}

func (r *recordedRounds) RunRound(_ context.Context, reason string) time.Duration {
	r.times, r.reasons = append(r.times, time.Since(r.began)), append(r.reasons, reason)
	return r.next(len(r.times))
}

// RunFastPath records the reasons that it is called with.
func (r *recordedRounds) RunFastPath(_ context.Context, reason string) {
	r.failovers = append(r.failovers, reason)
}

// runLoop runs a loop while drive requests rounds, and returns when and why they ran.
func runLoop(t *testing.T, next func(n int) time.Duration, drive func(q *roundQueue)) (times []time.Duration, reasons []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &recordedRounds{began: time.Now(), next: next}
	l := &Loop{newRoundQueue(), r, resyncInterval}
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	drive(l.queue)
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the loop ended with %v", err)
	}
	return r.times, r.reasons
}

func noNextRound(int) time.Duration { return 0 }

func TestBurstOfTriggersIsOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times, reasons := runLoop(t, noNextRound, func(q *roundQueue) {
			for range 100 {
				q.RequestRound("rule", uplinks.ChangedScope{})
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
		times, _ := runLoop(t, noNextRound, func(q *roundQueue) {
			for range 1000 {
				q.RequestRound("route", uplinks.ChangedScope{})
				time.Sleep(time.Millisecond)
			}
		})
		if len(times) < 15 || times[0] > maxDelay+time.Millisecond {
			t.Errorf("%d rounds in a second, the first after %v", len(times), times[0])
		}
	})
}

func TestFailoverDoesNotWaitForTheBurstToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := &recordedRounds{began: time.Now(), next: noNextRound}
		l := &Loop{newRoundQueue(), r, resyncInterval}
		ended := make(chan error)
		go func() { ended <- l.Run(ctx) }()
		for _, reason := range []string{"link", "health of isp0"} {
			l.queue.RequestRound(reason, uplinks.ChangedScope{})
			synctest.Wait()
		}
		if want := []string{"link", "health of isp0"}; !slices.Equal(r.failovers, want) || len(r.times) > 0 {
			t.Errorf("failovers because of %q, %d rounds", r.failovers, len(r.times))
		}
		stop()
		<-ended
	})
}

func TestResyncWithoutTriggers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times, reasons := runLoop(t, noNextRound, func(*roundQueue) { time.Sleep(3*resyncInterval + time.Second) })
		if len(times) != 3 || reasons[0] != "timer" {
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
		times, _ := runLoop(t, again, func(q *roundQueue) {
			q.RequestRound("start", uplinks.ChangedScope{})
			time.Sleep(2 * time.Second)
		})
		if len(times) != 2 || times[1]-times[0] != time.Second {
			t.Errorf("rounds at %v", times)
		}
	})
}
