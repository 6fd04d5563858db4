package daemon

import (
	"time"

	"replypath/uplinks"
)

// Restraint keeps the service from fighting: what has to be repaired again and again waits longer each time, though
// never for ever. Each object has its own patience, so that a rival of one is not felt by another.
type Restraint struct {
	offences map[string]offence
	swept    time.Time // when the forgotten ones were last taken out
}

type offence struct {
	count int
	last  time.Time // of the last repair
	until time.Time // no repair before
}

// over reports whether the object has been right for long enough since it was last repaired, or last could have been.
func (o offence) over(now time.Time) bool {
	return now.After(o.last.Add(forgotten)) && now.After(o.until.Add(forgotten))
}

const (
	tolerated = 5                // repairs in a row without any delay
	forgotten = time.Minute      // an object that was right for so long starts anew
	longest   = 30 * time.Second // the longest wait
	shortest  = 200 * time.Millisecond
)

// NewRestraint is one that has seen nothing yet.
func NewRestraint() *Restraint {
	return &Restraint{offences: map[string]offence{}}
}

// Want notes what is wanted now. What was not wanted before is no repair: a link that comes and goes is nobody's rival.
// What was wanted before is only asked for when something was repaired lately.
func (r *Restraint) Want(want uplinks.State, wanted func() uplinks.State, now time.Time) {
	r.forget(now)
	if len(r.offences) == 0 {
		return
	}
	before := wanted()
	for _, s := range uplinks.Diff(want, before) {
		delete(r.offences, key(s))
	}
	for t, value := range want.Tunables {
		if before.Tunables[t] != value {
			delete(r.offences, key(uplinks.SetTunable{Tunable: t, Value: value}))
		}
	}
}

// Split parts a plan into what is done now and what waits, and says when the first that waits may be done.
func (r *Restraint) Split(plan uplinks.Plan, now time.Time) (act, wait uplinks.Plan, next time.Duration) {
	for _, s := range plan {
		until := r.offences[key(s)].until
		if !now.Before(until) {
			act = append(act, s)
			continue
		}
		wait = append(wait, s)
		if left := until.Sub(now); next == 0 || left < next {
			next = left
		}
	}
	return act, wait, next
}

// Done notes repairs, and gives the objects that are now repaired so often that somebody must be undoing it.
func (r *Restraint) Done(plan uplinks.Plan, now time.Time) (fought uplinks.Plan) {
	for _, s := range plan {
		o := r.offences[key(s)]
		if o.over(now) {
			o = offence{}
		}
		o.count++
		o.last = now
		if o.count > tolerated {
			o.until = now.Add(min(longest, shortest<<min(o.count-tolerated-1, 20)))
			fought = append(fought, s)
		}
		r.offences[key(s)] = o
	}
	return fought
}

// forget keeps the memory bounded. Until it is asked for, an offence that is over does no harm.
func (r *Restraint) forget(now time.Time) {
	if now.Before(r.swept.Add(forgotten)) {
		return
	}
	r.swept = now
	for k, o := range r.offences {
		if o.over(now) {
			delete(r.offences, k)
		}
	}
}

// key tells repairs apart. Chains of one command are repaired together: each damage to them asks for another repair.
func key(s uplinks.Step) string { return s.String() }
