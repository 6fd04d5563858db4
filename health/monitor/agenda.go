package monitor

import (
	"container/heap"
	"time"
)

// agenda has the paths that are to run at some time, the earliest first.
type agenda []*pathState

var _ heap.Interface = (*agenda)(nil)

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].runAt.Before(a[j].runAt) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	p := x.(*pathState)
	*a = append(*a, p)
	p.place = len(*a)
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	p := (*a)[last]
	(*a)[last], *a = nil, (*a)[:last]
	p.place = 0
	return p
}

// set sets when the path is to run; zero: not.
func (a *agenda) set(p *pathState, at time.Time) {
	if at.IsZero() {
		a.remove(p)
		return
	}
	p.runAt = at
	if p.place == 0 {
		heap.Push(a, p)
		return
	}
	heap.Fix(a, p.place-1)
}

func (a *agenda) remove(p *pathState) {
	if p.place != 0 {
		heap.Remove(a, p.place-1)
	}
	p.runAt = time.Time{}
}

// takeDue removes and returns the paths that are to run by now.
func (a *agenda) takeDue(now time.Time) (due []*pathState) {
	for len(*a) > 0 && !(*a)[0].runAt.After(now) {
		p := (*a)[0]
		a.remove(p)
		due = append(due, p)
	}
	return due
}

// next returns when the earliest path is to run; zero: none is.
func (a agenda) next() time.Time {
	if len(a) == 0 {
		return time.Time{}
	}
	return a[0].runAt
}

// runSoon makes the path run with the current update.
func (e *engine) runSoon(p *pathState) {
	if e.ctx != nil && p.cancelRun != nil {
		e.agenda.set(p, longAgo)
	}
}

// runAgenda runs the paths that are due, and returns when to be called again; zero: never. A path runs once: what it makes due for
// itself or for others is done by the next call.
func (e *engine) runAgenda(now time.Time) time.Time {
	for _, p := range e.agenda.takeDue(now) {
		if next := e.runDue(p, now); p.cancelRun != nil {
			e.agenda.set(p, earliest(p.runAt, next))
		}
	}
	return e.agenda.next()
}
