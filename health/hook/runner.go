package hook

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"replypath/health"
)

// Timeout is after what time a program is killed.
const Timeout = 30 * time.Second

// queueSize is the maximum number of queued events.
const queueSize = 100

// Runner runs the programs for each event, in the order of the events, one program at a time.
type Runner struct {
	log     *slog.Logger
	timeout time.Duration
	wake    chan struct{}     // signals a queued event
	onOpen  func(*executable) // called before an opened program starts, for tests

	mu       sync.Mutex
	programs []string
	queue    []health.Event
	dropped  uint64
}

// New returns a runner without programs. It runs nothing until Run.
func New(log *slog.Logger) *Runner {
	return &Runner{log: log, timeout: Timeout, wake: make(chan struct{}, 1), onOpen: func(*executable) {}}
}

// SetPrograms sets the absolute paths of the programs for later events.
func (r *Runner) SetPrograms(programs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.programs = append([]string(nil), programs...)
}

// Enqueue queues an event for the programs. It never blocks: a full queue drops its oldest event.
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

// Dropped returns the number of events that a full queue has dropped.
func (r *Runner) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Run runs programs until the context ends, and returns its error. A program that is running then is killed.
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
				r.log.Warn("on_change: events dropped, as the programs are too slow", "events", dropped-reported)
				reported = dropped
			}
		}
	}
}

// dequeue returns the oldest event and the programs to run for it.
func (r *Runner) dequeue() (e health.Event, programs []string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return e, nil, false
	}
	e, r.queue = r.queue[0], r.queue[1:]
	return e, r.programs, true
}
