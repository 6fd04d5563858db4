package daemon

import (
	"time"

	"replypath/uplinks"
)

// RepairBackoff keeps the service from fighting: what has to be repaired again and again waits longer each time, though
// never for ever. Each object has its own patience, so that a rival of one is not felt by another.
type RepairBackoff struct {
	history   map[string]repairHistory
	lastSweep time.Time // when the forgotten ones were last taken out
}

type repairHistory struct {
	repairs   int
	last      time.Time // of the last repair
	notBefore time.Time // no repair before
}

// expired reports whether the object has been right for long enough since it was last repaired, or last could have been.
func (o repairHistory) expired(now time.Time) bool {
	return now.After(o.last.Add(historyTime)) && now.After(o.notBefore.Add(historyTime))
}

const (
	freeRepairs = 5                // repairs in a row without any delay
	historyTime = time.Minute      // an object that was right for so long starts anew
	maxBackoff  = 30 * time.Second // the longest wait
	minBackoff  = 200 * time.Millisecond
)

// NewRepairBackoff is one that has seen nothing yet.
func NewRepairBackoff() *RepairBackoff {
	return &RepairBackoff{history: map[string]repairHistory{}}
}

// UpdateDesired notes what is wanted now. What was not wanted before is no repair: a link that comes and goes is nobody's rival.
// What was wanted before is only asked for when something was repaired lately.
func (r *RepairBackoff) UpdateDesired(want uplinks.State, previous func() uplinks.State, now time.Time) {
	r.sweep(now)
	if len(r.history) == 0 {
		return
	}
	before := previous()
	for _, s := range uplinks.Diff(want, before) {
		delete(r.history, stepKey(s))
	}
	for t, value := range want.Tunables {
		if before.Tunables[t] != value {
			delete(r.history, stepKey(uplinks.SetTunable{Tunable: t, Value: value}))
		}
	}
}

// Split parts a plan into what is done now and what waits, and says when the first that waits may be done.
func (r *RepairBackoff) Split(plan uplinks.Plan, now time.Time) (act, wait uplinks.Plan, next time.Duration) {
	for _, s := range plan {
		notBefore := r.history[stepKey(s)].notBefore
		if !now.Before(notBefore) {
			act = append(act, s)
			continue
		}
		wait = append(wait, s)
		if left := notBefore.Sub(now); next == 0 || left < next {
			next = left
		}
	}
	return act, wait, next
}

// RecordRepairs notes repairs, and gives the objects that are now repaired so often that somebody must be undoing it.
func (r *RepairBackoff) RecordRepairs(plan uplinks.Plan, now time.Time) (contested uplinks.Plan) {
	for _, s := range plan {
		o := r.history[stepKey(s)]
		if o.expired(now) {
			o = repairHistory{}
		}
		o.repairs++
		o.last = now
		if o.repairs > freeRepairs {
			o.notBefore = now.Add(min(maxBackoff, minBackoff<<min(o.repairs-freeRepairs-1, 20)))
			contested = append(contested, s)
		}
		r.history[stepKey(s)] = o
	}
	return contested
}

// sweep keeps the memory bounded. Until it is asked for, an offence that is over does no harm.
func (r *RepairBackoff) sweep(now time.Time) {
	if now.Before(r.lastSweep.Add(historyTime)) {
		return
	}
	r.lastSweep = now
	for k, o := range r.history {
		if o.expired(now) {
			delete(r.history, k)
		}
	}
}

// stepKey tells repairs apart. Chains of one command are repaired together: each damage to them asks for another repair.
func stepKey(s uplinks.Step) string { return s.String() }
