package hook

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"replypath/health"
)

// Timeout is how long a program may run for an event.
const Timeout = 30 * time.Second

// queueSize is how many events wait at most for the programs.
const queueSize = 100

// Runner runs programs, one at a time, for each event, in the order of the events.
type Runner struct {
	log     *slog.Logger
	timeout time.Duration
	wake    chan struct{} // there is something in the queue

	mu       sync.Mutex
	programs []string
	queue    []health.Event
	dropped  uint64
}

// New is a runner without programs. It runs nothing until Run.
func New(log *slog.Logger) *Runner {
	return &Runner{log: log, timeout: Timeout, wake: make(chan struct{}, 1)}
}

// SetPrograms names the programs for the events to come, by absolute paths.
func (r *Runner) SetPrograms(programs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.programs = append([]string(nil), programs...)
}

// Enqueue has the programs run for the event. It never waits; when too many events wait already, the oldest goes.
func (r *Runner) Enqueue(e health.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.programs) == 0 {
		return
	}
	if len(r.queue) == queueSize {
		r.queue = r.queue[1:]
		r.dropped++
	}
	r.queue = append(r.queue, e)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Dropped is how many events no program was run for, because too many waited.
func (r *Runner) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Run runs the programs until the context ends, and gives its error. A program that runs then is ended.
func (r *Runner) Run(ctx context.Context) error {
	reported := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		}
		for e, programs, more := r.dequeue(); more && ctx.Err() == nil; e, programs, more = r.dequeue() {
			for _, program := range programs {
				r.run(ctx, program, e)
			}
			if dropped := r.Dropped(); dropped > reported {
				r.log.Warn("events came faster than the programs of on_change end, and were left out", "events", dropped-reported)
				reported = dropped
			}
		}
	}
}

func (r *Runner) dequeue() (e health.Event, programs []string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return e, nil, false
	}
	e, r.queue = r.queue[0], r.queue[1:]
	return e, r.programs, true
}
