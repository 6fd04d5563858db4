package monitor

import "time"

// agenda has the paths that are to run at some time, in no order: most of them are due at the same ticks, and to walk some hundreds that lie
// side by side in memory takes less time than to keep them in order.
type agenda []appointment

// appointment is when a path is to run.
type appointment struct {
	at   time.Time
	path *pathState
}

// set sets when the path is to run; zero: not.
func (a *agenda) set(p *pathState, at time.Time) {
	switch {
	case at.IsZero():
		a.remove(p)
	case p.place == 0:
		*a = append(*a, appointment{at, p})
		p.place = len(*a)
	default:
		(*a)[p.place-1].at = at
	}
}

// remove puts the last path in the place of this one, if it is there.
func (a *agenda) remove(p *pathState) {
	if p.place == 0 {
		return
	}
	last := len(*a) - 1
	moved := (*a)[last]
	(*a)[p.place-1], moved.path.place = moved, p.place
	(*a)[last], *a = appointment{}, (*a)[:last]
	p.place = 0
}

// appendDue removes the paths that are to run by now, and appends them.
func (a *agenda) appendDue(due []*pathState, now time.Time) []*pathState {
	for i := 0; i < len(*a); {
		p := (*a)[i]
		if p.at.After(now) {
			i++
			continue
		}
		a.remove(p.path)
		due = append(due, p.path)
	}
	return due
}

// next returns when the earliest path is to run; zero: none is.
func (a agenda) next() (next time.Time) {
	for _, p := range a {
		next = earliest(next, p.at)
	}
	return next
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
