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
	Round   func(ctx context.Context, why string) time.Duration
	Settle  time.Duration // a round waits until no nudge has come for so long,
	Bound   time.Duration // but no longer than this after the first
	Refresh time.Duration // a round comes without any nudge
	nudges  chan string
}

// The service's times.
const (
	settle  = 5 * time.Millisecond
	bound   = 50 * time.Millisecond
	refresh = 30 * time.Second
)

// NewLoop gives a loop with the service's times.
func NewLoop(round func(context.Context, string) time.Duration) *Loop {
	return &Loop{Round: round, Settle: settle, Bound: bound, Refresh: refresh, nudges: make(chan string, 1)}
}

// Nudge asks for a round. It never blocks: a nudge that finds one waiting has nothing to add.
func (l *Loop) Nudge(why string) {
	select {
	case l.nudges <- why:
	default:
	}
}

// Run does rounds until the context ends.
func (l *Loop) Run(ctx context.Context) error {
	timer := time.NewTimer(l.Refresh)
	defer timer.Stop()
	for {
		why, err := l.wait(ctx, timer)
		if err != nil {
			return err
		}
		next := l.Round(ctx, why)
		if next == 0 || next > l.Refresh {
			next = l.Refresh
		}
		timer.Reset(next)
	}
}

// wait ends with the reason for a round, when the nudges have settled.
func (l *Loop) wait(ctx context.Context, timer *time.Timer) (why string, err error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timer.C:
		return "refresh", nil
	case why = <-l.nudges:
	}
	late := time.NewTimer(l.Bound)
	defer late.Stop()
	for {
		quiet := time.NewTimer(l.Settle)
		select {
		case <-ctx.Done():
			quiet.Stop()
			return "", ctx.Err()
		case <-l.nudges:
			quiet.Stop()
		case <-quiet.C:
			return why, nil
		case <-late.C:
			quiet.Stop()
			return why, nil
		}
	}
}
