package daemon

import (
	"time"

	"replypath/marks"
	"replypath/uplinks"
)

// RepairBackoff delays repairs that another program undoes again and again, twice as long each time up to maxBackoff: an
// object that was left alone for this time is repaired at once. Each object has its own delay, and its own longest one, see
// longestDelay. Not safe for concurrent use.
type RepairBackoff struct {
	history   map[string]repairHistory // by stepKey
	lastSweep time.Time
}

// repairHistory has the repairs of one object.
type repairHistory struct {
	repairs   int
	last      time.Time // of the last repair
	notBefore time.Time // of the next repair
	warned    time.Time // when RecordRepairs returned it last
}

// expired reports whether the object was right for historyTime since its last repair, or since it could have been repaired.
func (h repairHistory) expired(now time.Time) bool {
	return now.After(h.last.Add(historyTime)) && now.After(h.notBefore.Add(historyTime))
}

const (
	freeRepairs = 5 // without delay
	historyTime = time.Minute
	minBackoff  = 200 * time.Millisecond
	maxBackoff  = 2 * time.Second
	// tableBackoff is the longest delay of the nftables table. One transaction repairs it, and nobody else has a place in it to
	// fight for: only a flush of everything removes it, after which every reply strays until the repair.
	tableBackoff = 50 * time.Millisecond
	// warnInterval is the time between two warnings about the same object.
	warnInterval = 30 * time.Second
)

// NewRepairBackoff returns a back-off without history.
func NewRepairBackoff() *RepairBackoff {
	return &RepairBackoff{history: map[string]repairHistory{}}
}

// UpdateDesired drops the history of objects that were not desired before: a step that makes them is no repair, as with a
// link that comes and goes. It computes the state desired before only if there is a history.
func (b *RepairBackoff) UpdateDesired(desired uplinks.State, before func() uplinks.State, now time.Time) {
	b.sweep(now)
	if len(b.history) == 0 {
		return
	}
	previous := before()
	for _, s := range uplinks.Diff(desired, previous).WithoutPause() {
		delete(b.history, stepKey(s))
	}
	for t, value := range desired.Tunables {
		if previous.Tunables[t] != value {
			delete(b.history, stepKey(uplinks.SetTunable{Tunable: t, Value: value}))
		}
	}
}

// Split divides a plan into the steps for now and those that are delayed, and returns the time until the first of these.
func (b *RepairBackoff) Split(plan uplinks.Plan, now time.Time) (act, wait uplinks.Plan, next time.Duration) {
	for _, s := range plan {
		notBefore := b.history[stepKey(s)].notBefore
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

// RecordRepairs records executed steps. Of those that are delayed from now on it returns, as contested, each once in
// warnInterval, and the others as repeated.
func (b *RepairBackoff) RecordRepairs(steps uplinks.Plan, now time.Time) (contested, repeated uplinks.Plan) {
	for _, s := range steps {
		h := b.history[stepKey(s)]
		if h.expired(now) {
			h = repairHistory{}
		}
		h.repairs++
		h.last = now
		if h.repairs > freeRepairs {
			h.notBefore = now.Add(min(longestDelay(s), minBackoff<<min(h.repairs-freeRepairs-1, 20)))
			if now.Before(h.warned.Add(warnInterval)) {
				repeated = append(repeated, s)
			} else {
				h.warned = now
				contested = append(contested, s)
			}
		}
		b.history[stepKey(s)] = h
	}
	return contested, repeated
}

// longestDelay returns the longest delay of a repair of the step's object.
func longestDelay(s uplinks.Step) time.Duration {
	if load, is := s.(uplinks.LoadChains); is && load.Firewall.Backend == marks.Nftables {
		return tableBackoff
	}
	return maxBackoff
}

// sweep drops expired histories once per historyTime, which bounds the memory.
func (b *RepairBackoff) sweep(now time.Time) {
	if now.Before(b.lastSweep.Add(historyTime)) {
		return
	}
	b.lastSweep = now
	for k, h := range b.history {
		if h.expired(now) {
			delete(b.history, k)
		}
	}
}

// stepKey identifies the object of a repair. The chains of one firewall are repaired together, by a step that differs with
// the damage.
func stepKey(s uplinks.Step) string { return s.String() }
