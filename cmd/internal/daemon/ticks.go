package daemon

import (
	"context"
	"time"

	"replypath/health"
)

// ticks are the times at which the clock has a multiple of an interval. One wake-up of the process serves all components that wait for
// the same tick, and sends probes of gateways (health.LastTick). For one goroutine.
type ticks struct {
	timer health.Timer
	c     chan struct{}
}

func newTicks(timers health.Timers) ticks {
	c := make(chan struct{}, 1)
	return ticks{timers.New(func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}), c}
}

// after returns the channel, which receives a value at the first tick after the time; now, if that has passed.
func (t ticks) after(then time.Time, interval time.Duration) <-chan struct{} {
	t.timer.Reset(max(health.UntilTick(then, interval)-time.Since(then), 0))
	return t.c
}

// await waits for the first tick after the time.
func (t ticks) await(ctx context.Context, then time.Time, interval time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.after(then, interval):
		return nil
	}
}

func (t ticks) stop() { t.timer.Stop() }
