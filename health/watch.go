package health

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// watch is one path under watch. All of it is under the monitor's lock.
type watch struct {
	uplink    Uplink
	path      Path
	inquiries []*inquiry
	history   history

	evidence Verdict // of the probes, as long as new ones have not decided
	state    State   // empty: not known yet
	reason   string
	since    time.Time
	changes  int
	wasUp    bool
	hold     hold
	review   time.Time // when to look again although nothing happens; zero: never

	proof   Proof
	verdict Result    // of the proof, with strays
	strayed time.Time // when the count of strays last grew
	strays  uint64    // by how much

	wake      chan struct{}
	stop      context.CancelFunc // ends its goroutine; nil: it has none
	questions context.Context    // of the questions that are open; nil: none has been put
	drop      context.CancelFunc
}

// asks reports whether there is a link to ask by.
func (w *watch) asks() bool {
	state, _ := w.path.against()
	return state == ""
}

// nudge makes its goroutine look at once.
func (w *watch) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// forget ends the questions that are open.
func (w *watch) forget() {
	if w.drop != nil {
		w.drop()
	}
	w.questions, w.drop = nil, nil
}

// weigh gives the state that follows from all that is known, with the reason when it is not Up. It is empty when nobody
// has answered yet and nothing was known before.
func (w *watch) weigh(now time.Time) (State, string) {
	w.review = time.Time{}
	if state, reason := w.path.against(); state != "" {
		w.evidence = Undecided
		w.hold.fails()
		return state, reason
	}
	v, reason := w.poll()
	switch {
	case v == Undecided && w.state == "":
		return "", reason
	case v != Alive:
		w.hold.fails()
		return Down, reason
	case w.state == Down || w.state == Absent:
		if left := w.hold.answers(now); left > 0 {
			w.review = now.Add(left)
			return Down, fmt.Sprintf("answers again, but has gone down soon after it came up (%d times): it must answer for %v first", w.hold.flaps, w.hold.penalty)
		}
	}
	return w.shown(now)
}

// poll asks the probes. New ones that have not decided yet leave everything as it was.
func (w *watch) poll() (Verdict, string) {
	ballots := make([]ballot, 0, len(w.inquiries))
	for _, i := range w.inquiries {
		ballots = append(ballots, i.ballot())
	}
	v, reason := quorum(w.uplink.Quorum, ballots)
	if v == Undecided {
		return w.evidence, reason
	}
	w.evidence = v
	return v, reason
}

// recently is how long a reply that strayed is held against the reply path.
const recently = time.Minute

// shown is Up or Unproven, as the proof says.
func (w *watch) shown(now time.Time) (State, string) {
	if result, why := w.proven(now); result == No {
		return Unproven, why
	}
	return Up, ""
}

// proven is what the proof says, with the replies that strayed a moment ago.
func (w *watch) proven(now time.Time) (Result, string) {
	if result, why := w.proof.proven(); result == No {
		return No, why
	}
	if end := w.strayed.Add(recently); !w.strayed.IsZero() && now.Before(end) {
		w.review = sooner(w.review, end)
		return No, fmt.Sprintf("%d replies of real connections left by another link a moment ago", w.strays)
	}
	result, _ := w.proof.proven()
	return result, ""
}

// next is when to look again although nothing happens; zero: never.
func (w *watch) next() time.Time {
	next := w.review
	for _, i := range w.inquiries {
		if i.common.waiting {
			next = sooner(next, i.common.next)
		}
	}
	return next
}

// sooner is the earlier of two times of which the zero one means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// good reports whether the state lets traffic through.
func (s State) good() bool { return s == Up || s == Unproven }

// same reports whether two paths lead their questions the same way.
func (p Path) same(o Path) bool {
	p.Up, p.Carrier = o.Up, o.Carrier
	return p == o
}

// equal reports whether the uplink is watched in the same way.
func (u Uplink) equal(o Uplink) bool {
	return u.Name == o.Name && u.Quorum == o.Quorum && u.Alone == o.Alone && slices.Equal(u.Probes, o.Probes)
}
