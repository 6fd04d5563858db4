package uplinks

import (
	"context"
	"errors"
	"fmt"
)

// Kernel reads and writes the state of a host.
type Kernel interface {
	// Observe returns the facts of the host and the objects that replypath has on it. With scopes it reads only those: the
	// facts have their links, without a deleted one, and GatewayRoutes by them; the state has their routes and tunables.
	Observe(ctx context.Context, scopes ...Scope) (Facts, State, error)
	// Apply executes one step.
	Apply(ctx context.Context, s Step) error
}

// ErrDrift means that the kernel still differs from the desired state after a sync.
var ErrDrift = errors.New("the kernel still differs from the configuration")

// maxAttempts bounds the rounds of a sync. A second one is needed only if another program writes at the same time.
const maxAttempts = 3

// ErrRenamed means that a link has got the name of another one since the observation that a plan follows from, as when two swap
// their names.
var ErrRenamed = errors.New("a link has the name of another one now")

// Preparer is a Kernel that receives a plan before its first step, so that it can save all originals at once. It returns ErrRenamed
// if the plan is of names that other links have now.
type Preparer interface {
	Prepare(p Plan) error
}

// Batcher is a Kernel that executes consecutive steps together at less cost. ApplyAll executes every step, also after a
// failed one, and returns an error or nil for each.
type Batcher interface {
	ApplyAll(ctx context.Context, steps []Step) []error
}

// maxBatch is the number of steps between two checks of ctx.
const maxBatch = 64

// Observation is one reading of the whole host, with the state that it should have.
type Observation struct {
	Facts             Facts
	Observed, Desired State
}

// target computes the state that a Sync or a Change brings the kernel to.
type target interface {
	// aim returns the desired state for an observation.
	aim(Facts, State) Observation
	// leaveOut reports whether the error has paths that the target leaves out from now on.
	leaveOut(err error) bool
}

// observe reads the whole host and computes its desired state.
func observe(ctx context.Context, k Kernel, t target) (Observation, error) {
	facts, have, err := k.Observe(ctx)
	if err != nil {
		return Observation{}, err
	}
	return t.aim(facts, have), nil
}

// Preview returns the plan that leads to the desired state of the settings and verdicts, and the observation it is made from: without
// verdicts what a Sync would execute now. It writes nothing.
func Preview(ctx context.Context, k Kernel, s Settings, v Verdicts) (Plan, Observation, error) {
	now, err := observe(ctx, k, &settingsTarget{settings: s, verdicts: v})
	return Diff(now.Desired, now.Observed), now, err
}

// Sync brings the kernel to the desired state and returns the executed steps. It verifies the result by another
// observation. It leaves out paths whose routes the kernel refuses. On another failure the executed steps stay: the host
// works after every single one.
func Sync(ctx context.Context, k Kernel, s Settings) (Plan, error) {
	return converge(ctx, k, nil, &settingsTarget{settings: s})
}

// converge observes, executes the difference and observes again until there is none, as the kernel may change between an
// observation and a write. first is an observation that the caller has already made, or nil.
func converge(ctx context.Context, k Kernel, first *Observation, t target) (done Plan, err error) {
	var plan Plan
	for attempts := 0; attempts < maxAttempts; attempts++ {
		now := first
		if first = nil; now == nil {
			observed, failed := observe(ctx, k, t)
			if failed != nil {
				return done, errors.Join(err, failed)
			}
			now = &observed
		}
		if plan = Diff(now.Desired, now.Observed); len(plan) == 0 {
			return done, nil
		}
		var executed Plan
		executed, err = Execute(ctx, k, plan)
		done = append(done, executed...)
		if t.leaveOut(err) {
			attempts--
		}
	}
	if err == nil {
		err = fmt.Errorf("%w; remaining steps:\n%s", ErrDrift, plan)
	}
	return done, err
}

// Execute executes the steps of a plan and returns those that succeeded, and the errors of the others. After a failure it
// goes on, but no longer removes anything: the object to replace it may be missing. If the kernel refuses routes, whose
// errors are RefusedRoute, it executes no steps but those that set routes: nothing may lead to a table without its routes. With
// ErrRenamed it has executed nothing.
func Execute(ctx context.Context, k Kernel, p Plan) (done Plan, err error) {
	if e, ok := k.(Preparer); ok {
		if err := e.Prepare(p); err != nil {
			return nil, err
		}
	}
	apply, limit := applyOne(k), 1
	if b, ok := k.(Batcher); ok {
		apply, limit = b.ApplyAll, maxBatch
	}
	var errs []error
	incomplete, refused := false, false // a step that adds has failed; a route was refused
	for len(p) > 0 {
		if err := ctx.Err(); err != nil {
			return done, errors.Join(append(errs, err)...)
		}
		var steps Plan
		steps, p = p.nextBatch(limit)
		if refused && !setsRoute(steps[0]) {
			break
		}
		if incomplete && steps[0].Removes() {
			continue
		}
		for i, err := range apply(ctx, steps) {
			if err == nil {
				done = append(done, steps[i])
				continue
			}
			if set, is := steps[i].(SetRoute); is && errors.Is(err, ErrRefused) {
				err, refused = &RefusedRoute{set, err}, true
			}
			errs = append(errs, err)
			incomplete = incomplete || !steps[i].Removes()
		}
	}
	return done, errors.Join(errs...)
}

// nextBatch returns the first steps that can be executed together, at most limit, and the rest. Steps that remove, and those
// that set routes, are not mixed with others.
func (p Plan) nextBatch(limit int) (steps, rest Plan) {
	n := 1
	for n < min(len(p), limit) && p[n].Removes() == p[0].Removes() && setsRoute(p[n]) == setsRoute(p[0]) {
		n++
	}
	return p[:n], p[n:]
}

func setsRoute(s Step) bool {
	_, is := s.(SetRoute)
	return is
}

// applyOne returns an ApplyAll for batches of one step.
func applyOne(k Kernel) func(context.Context, []Step) []error {
	return func(ctx context.Context, steps []Step) []error { return []error{k.Apply(ctx, steps[0])} }
}
