package daemon

import (
	"context"
	"time"
)

const (
	debounce       = 5 * time.Millisecond  // a round waits until no reason has come for this time,
	maxDelay       = 50 * time.Millisecond // but not longer than this after the first one
	resyncInterval = 30 * time.Second      // between rounds without a reason
	retryInterval  = time.Second           // after a failure
)

// RoundRunner runs what a Loop calls.
type RoundRunner interface {
	// RunRound runs a round and returns how long the next one may wait, 0: until the next resync.
	RunRound(ctx context.Context, reason string) time.Duration
	// RunFastPath does at once what must not wait for a round. It is called for each reason.
	RunFastPath(ctx context.Context, reason string)
}

// Loop runs a round when one is requested, and at each resync.
type Loop struct {
	queue  *roundQueue
	rounds RoundRunner
	resync time.Duration
}

// Run runs rounds until the context ends.
func (l *Loop) Run(ctx context.Context) error {
	timer := time.NewTimer(l.resync)
	defer timer.Stop()
	for {
		reason, err := l.awaitReason(ctx, timer)
		if err != nil {
			return err
		}
		next := l.rounds.RunRound(ctx, reason)
		if next == 0 || next > l.resync {
			next = l.resync
		}
		timer.Reset(next)
	}
}

// awaitReason returns the first reason for a round once no other has come for debounce, or maxDelay after it.
func (l *Loop) awaitReason(ctx context.Context, timer *time.Timer) (reason string, err error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C:
		return "timer", nil
	case reason = <-l.queue.reasons:
		l.rounds.RunFastPath(ctx, reason)
	}
	deadline := time.NewTimer(maxDelay)
	defer deadline.Stop()
	for {
		quiet := time.NewTimer(debounce)
		select {
		case <-ctx.Done():
			quiet.Stop()
			return "", ctx.Err()
		case more := <-l.queue.reasons:
			quiet.Stop()
			l.rounds.RunFastPath(ctx, more)
		case <-quiet.C:
			return reason, nil
		case <-deadline.C:
			quiet.Stop()
			return reason, nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
