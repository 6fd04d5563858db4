package uplinks

import (
	"context"
	"errors"
	"fmt"
)

// Kernel is what a host's state is read from and written to.
type Kernel interface {
	// Observe reads the host: what it is like, and what of ours is there. When shares are named it reads those alone, and
	// gives their links, the routes by them in GatewayRoutes, and no more; of a link that is not there it gives none.
	Observe(ctx context.Context, only ...Scope) (Facts, State, error)
	// Apply does one step.
	Apply(ctx context.Context, s Step) error
}

// ErrDrift is the error of a sync after which the kernel still is not as it should be.
var ErrDrift = errors.New("the kernel is not as it was asked to be")

// maxAttempts bounds how often a sync begins anew. More than one is needed only when somebody else writes meanwhile.
const maxAttempts = 3

// Preparer is a Kernel that wants to know beforehand what it will be asked to do.
type Preparer interface {
	Prepare(p Plan)
}

// Batcher is a Kernel that does steps that follow one another cheaper together. It gives an error, or nil, for each, and
// does every one that it can.
type Batcher interface {
	ApplyAll(ctx context.Context, steps []Step) []error
}

// maxBatch is how many steps a Batcher is given at once: between them it is seen whether ctx has ended.
const maxBatch = 64

// Observation is one reading of the whole host, with the state that it should have.
type Observation struct {
	Facts             Facts
	Observed, Desired State
}

func observe(ctx context.Context, k Kernel, want desiredFunc) (Observation, error) {
	facts, have, err := k.Observe(ctx)
	if err != nil {
		return Observation{}, err
	}
	return Observation{facts, have, want(facts, have)}, nil
}

// desiredFunc is what should be there, on a host that is such and holds such.
type desiredFunc func(Facts, State) State

// desired is what the settings ask for on whatever host.
func (s Settings) desired(f Facts, _ State) State { return Desired(s, f, nil) }

// Preview returns the plan that a Sync would execute now, and the observation it is made from. It writes nothing.
func Preview(ctx context.Context, k Kernel, s Settings) (Plan, Observation, error) {
	now, err := observe(ctx, k, s.desired)
	return Diff(now.Desired, now.Observed), now, err
}

// Sync makes the kernel as the settings ask and gives the steps that it took. What it wrote it reads back. When it
// fails it leaves every step that succeeded: each of them alone leaves a working host.
func Sync(ctx context.Context, k Kernel, s Settings) (Plan, error) {
	return converge(ctx, k, nil, s.desired)
}

// converge looks, writes and looks again until nothing is left to do, as the kernel may change between a look and a write.
// The first look may have been had already.
func converge(ctx context.Context, k Kernel, first *Observation, want desiredFunc) (done Plan, err error) {
	var plan Plan
	for range maxAttempts {
		now := first
		if first = nil; now == nil {
			observed, failed := observe(ctx, k, want)
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
	}
	if err == nil {
		err = fmt.Errorf("%w; still to do:\n%s", ErrDrift, plan)
	}
	return done, err
}

// Execute does all that can be done: one step's failure does not keep its neighbours from being right. What is taken
// up waits until all that replaces it is there.
func Execute(ctx context.Context, k Kernel, p Plan) (done Plan, err error) {
	if e, ok := k.(Preparer); ok {
		e.Prepare(p)
	}
	apply, limit := applyOne(k), 1
	if b, ok := k.(Batcher); ok {
		apply, limit = b.ApplyAll, maxBatch
	}
	var errs []error
	incomplete := false // something is not there that should replace what is taken up
	for len(p) > 0 {
		if err := ctx.Err(); err != nil {
			return done, errors.Join(append(errs, err)...)
		}
		var steps Plan
		steps, p = p.nextBatch(limit)
		if incomplete && steps[0].Removes() {
			continue
		}
		for i, err := range apply(ctx, steps) {
			if err == nil {
				done = append(done, steps[i])
				continue
			}
			errs = append(errs, err)
			incomplete = incomplete || !steps[i].Removes()
		}
	}
	return done, errors.Join(errs...)
}

// nextBatch gives the first steps that can be done together, all of which take up or none, and the rest.
func (p Plan) nextBatch(limit int) (steps, rest Plan) {
	n := 1
	for n < min(len(p), limit) && p[n].Removes() == p[0].Removes() {
		n++
	}
	return p[:n], p[n:]
}

// applyOne does one step.
func applyOne(k Kernel) func(context.Context, []Step) []error {
	return func(ctx context.Context, steps []Step) []error { return []error{k.Apply(ctx, steps[0])} }
}
