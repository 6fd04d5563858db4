// Package daemon decides when to act: it turns what happens into rounds, one after the other.
package daemon

import (
	"context"
	"time"
)

// Loop turns many nudges into few rounds. Its goroutine is the only one that does rounds.
type Loop struct {
	// Round does what there is to do, for the first reason since the last round, and says when to come again at the
	// latest; 0 is "not before the refresh".
	RunRound       func(ctx context.Context, why string) time.Duration
	Debounce       time.Duration // a round waits until no nudge has come for so long,
	MaxDelay       time.Duration // but no longer than this after the first
	ResyncInterval time.Duration // a round comes without any nudge
	triggers       chan string
}

// The service's times.
const (
	debounce       = 5 * time.Millisecond
	maxDelay       = 50 * time.Millisecond
	resyncInterval = 30 * time.Second
)

// NewLoop gives a loop with the service's times.
func NewLoop(round func(context.Context, string) time.Duration) *Loop {
	return &Loop{RunRound: round, Debounce: debounce, MaxDelay: maxDelay, ResyncInterval: resyncInterval, triggers: make(chan string, 1)}
}

// Trigger asks for a round. It never blocks: a nudge that finds one waiting has nothing to add.
func (l *Loop) Trigger(reason string) {
	select {
	case l.triggers <- reason:
	default:
	}
}

// Run does rounds until the context ends.
func (l *Loop) Run(ctx context.Context) error {
	timer := time.NewTimer(l.ResyncInterval)
	defer timer.Stop()
	for {
		reason, err := l.awaitTrigger(ctx, timer)
		if err != nil {
			return err
		}
		next := l.RunRound(ctx, reason)
		if next == 0 || next > l.ResyncInterval {
			next = l.ResyncInterval
		}
		timer.Reset(next)
	}
}

// awaitTrigger ends with the reason for a round, when the nudges have settled.
func (l *Loop) awaitTrigger(ctx context.Context, timer *time.Timer) (reason string, err error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C:
		return "refresh", nil
	case reason = <-l.triggers:
	}
	deadline := time.NewTimer(l.MaxDelay)
	defer deadline.Stop()
	for {
		quiet := time.NewTimer(l.Debounce)
		select {
		case <-ctx.Done():
			quiet.Stop()
			return "", ctx.Err()
		case <-l.triggers:
			quiet.Stop()
		case <-quiet.C:
			return reason, nil
		case <-deadline.C:
			quiet.Stop()
			return reason, nil
		}
	}
}
