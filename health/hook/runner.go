package hook

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"replypath/health"
)

// Limit is how long a program may run for an event.
const Limit = 30 * time.Second

// waiting is how many events wait at most for the programs.
const waiting = 100

// Runner runs programs, one at a time, for each event, in the order of the events.
type Runner struct {
	log   *slog.Logger
	limit time.Duration
	more  chan struct{} // there is something in the queue

	mu       sync.Mutex
	programs []string
	queue    []health.Event
	lost     uint64
}

// New is a runner without programs. It runs nothing until Run.
func New(log *slog.Logger) *Runner {
	return &Runner{log: log, limit: Limit, more: make(chan struct{}, 1)}
}

// Set names the programs for the events to come, by absolute paths.
func (r *Runner) Set(programs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.programs = append([]string(nil), programs...)
}

// Tell has the programs run for the event. It never waits; when too many events wait already, the oldest goes.
func (r *Runner) Tell(e health.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.programs) == 0 {
		return
	}
	if len(r.queue) == waiting {
		r.queue = r.queue[1:]
		r.lost++
	}
	r.queue = append(r.queue, e)
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// Lost is how many events no program was run for, because too many waited.
func (r *Runner) Lost() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// Run runs the programs until the context ends, and gives its error. A program that runs then is ended.
func (r *Runner) Run(ctx context.Context) error {
	told := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.more:
		}
		for e, programs, more := r.next(); more && ctx.Err() == nil; e, programs, more = r.next() {
			for _, program := range programs {
				r.run(ctx, program, e)
			}
			if lost := r.Lost(); lost > told {
				r.log.Warn("events came faster than the programs of on_change end, and were left out", "events", lost-told)
				told = lost
			}
		}
	}
}

func (r *Runner) next() (e health.Event, programs []string, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return e, nil, false
	}
	e, r.queue = r.queue[0], r.queue[1:]
	return e, r.programs, true
}
