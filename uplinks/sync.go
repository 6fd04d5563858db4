package uplinks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
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

// MaxBetween bounds the attempts to get to a state before the desired one, see DesiredNext. A second one is needed if a write fails once, or
// another program writes at the same time.
const MaxBetween = 2

// maxBatch is the number of steps between two checks of ctx.
const maxBatch = 64

// Observation is one reading of the whole host, with the state that it should have.
type Observation struct {
	Facts             Facts
	Observed, Desired State
	between           *State // through which the kernel must go first, see DesiredNext; nil: none
}

// next returns the steps to the next state on the way to the desired one, and whether that is the desired one: always if direct.
func (o Observation) next(direct bool) (p Plan, last bool) {
	if !direct && o.between != nil {
		if p = Diff(*o.between, o.Observed); len(p) > 0 {
			return p, false
		}
	}
	return Diff(o.Desired, o.Observed), true
}

// plan returns all steps to the desired state.
func (o Observation) plan() Plan {
	p, last := o.next(false)
	if !last {
		p = append(p, Diff(o.Desired, *o.between)...)
	}
	return p
}

// MovedMarks returns the marks whose open connections get another one before the mark is that of another uplink.
func (o Observation) MovedMarks() map[marks.Mark]bool {
	steps, _ := o.next(false)
	moved, all := map[pathMark]bool{}, map[marks.Mark]bool{}
	for _, step := range steps {
		if m, is := step.(MoveMark); is {
			moved[pathMark{m.Family, m.From, m.Mask}], all[m.From] = true, true
		}
	}
	for of := range o.Observed.lookedUp() {
		if !moved[of] {
			delete(all, of.mark)
		}
	}
	return all
}

// target computes the state that a Sync or a Change brings the kernel to.
type target interface {
	// aim returns the desired state for an observation.
	aim(Facts, State) Observation
	// leaveOut reports whether the error has paths that the target leaves out from now on.
	leaveOut(err error) bool
	// reverts reports whether what was executed is undone when the desired state is not reached.
	reverts() bool
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
	return now.plan(), now, err
}

// Sync brings the kernel to the desired state and returns the executed steps. It verifies the result by another
// observation. It leaves out paths whose routes the kernel refuses. On another failure the executed steps stay: the host
// works after every single one.
func Sync(ctx context.Context, k Kernel, s Settings) (Plan, error) {
	return converge(ctx, k, nil, &settingsTarget{settings: s})
}

// converge observes, executes the difference and observes again until there is none, as the kernel may change between an
// observation and a write. first is an observation that the caller has already made, or nil. A state before the desired one that the
// kernel does not get to is given up, and with it a target that reverts.
func converge(ctx context.Context, k Kernel, first *Observation, t target) (done Plan, err error) {
	var plan Plan
	for attempts, betweens := 0, 0; attempts < maxAttempts; attempts++ {
		now := first
		if first = nil; now == nil {
			observed, failed := observe(ctx, k, t)
			if failed != nil {
				return done, errors.Join(err, failed)
			}
			now = &observed
		}
		if betweens == MaxBetween && now.between != nil && err != nil && t.reverts() {
			return done, err
		}
		var last bool
		if plan, last = now.next(betweens >= MaxBetween); len(plan) == 0 {
			return done, nil
		}
		var executed Plan
		executed, err = Execute(ctx, k, plan)
		done = append(done, executed...)
		if !last {
			attempts, betweens = attempts-1, betweens+1
		}
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
	incomplete, refused := false, false // a step on which those that remove depend has failed; a route was refused
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
			incomplete = incomplete || !steps[i].Removes() || movesMark(steps[i])
		}
	}
	return done, errors.Join(errs...)
}

// nextBatch returns the first steps that can be executed together, at most limit, and the rest. Steps that remove, and those
// that set routes, are not mixed with others. One that moves a mark is alone: what follows depends on it.
func (p Plan) nextBatch(limit int) (steps, rest Plan) {
	n := 1
	for n < min(len(p), limit) && !movesMark(p[0]) && !movesMark(p[n]) && p[n].Removes() == p[0].Removes() && setsRoute(p[n]) == setsRoute(p[0]) {
		n++
	}
	return p[:n], p[n:]
}

// MovesMarks reports whether a step gives connections another mark.
func (p Plan) MovesMarks() bool { return slices.ContainsFunc(p, movesMark) }

// movesMark reports whether the step gives connections another mark, without which the rules of the one before must stay.
func movesMark(s Step) bool {
	_, is := s.(MoveMark)
	return is
}

func setsRoute(s Step) bool {
	_, is := s.(SetRoute)
	return is
}

// applyOne returns an ApplyAll for batches of one step.
func applyOne(k Kernel) func(context.Context, []Step) []error {
	return func(ctx context.Context, steps []Step) []error { return []error{k.Apply(ctx, steps[0])} }
}
