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

// appendDue removes the paths that are to run by now, and appends them.
func (a *agenda) appendDue(due []*pathState, now time.Time) []*pathState {
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
	if e.ctx != nil && p.cancelRun != nil && !p.runsSoon {
		p.runsSoon = true
		e.soon = append(e.soon, p)
	}
}

// runAgenda runs the paths that are due or run soon, and returns when to be called again; zero: never. A path runs once: what it makes
// due for itself or for others is done by the next call.
func (e *engine) runAgenda(now time.Time) time.Time {
	due := e.takeSoon(now)
	for _, p := range due {
		if p.cancelRun != nil {
			e.agenda.set(p, e.runDue(p, now))
		}
	}
	clear(due)
	if len(e.soon) > 0 {
		return longAgo
	}
	e.soon = due[:0]
	return e.agenda.next()
}

// takeSoon returns the paths that run soon, and those that are due, each once.
func (e *engine) takeSoon(now time.Time) (all []*pathState) {
	soon := len(e.soon)
	all, e.soon = e.agenda.appendDue(e.soon, now), nil
	due := all[soon:]
	all = all[:soon]
	for _, p := range due {
		if !p.runsSoon {
			all = append(all, p)
		}
	}
	for _, p := range all {
		p.runsSoon = false
	}
	return all
}
