package health

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// pathState is one path under watch. All of it is under the monitor's lock.
type pathState struct {
	uplink  UplinkSettings
	path    Path
	probes  []*probeState
	history history

	quorum   Liveness // of the probes, as long as new ones have not decided
	state    State    // empty: not known yet
	reason   string
	since    time.Time
	changes  int
	wasUp    bool
	holdDown holdDown
	reviewAt time.Time // when to look again although nothing happens; zero: never

	proof        Proof
	proofResult  Result    // of the proof, with strays
	strayedAt    time.Time // when the count of strays last grew
	recentStrays uint64    // by how much

	wake         chan struct{}
	cancel       context.CancelFunc // ends its goroutine; nil: it has none
	probeCtx     context.Context    // of the questions that are open; nil: none has been put
	cancelProbes context.CancelFunc
}

// canProbe reports whether there is a link to ask by.
func (w *pathState) canProbe() bool {
	state, _ := w.path.linkFault()
	return state == ""
}

// wakeUp makes its goroutine look at once.
func (w *pathState) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// abortProbes ends the questions that are open.
func (w *pathState) abortProbes() {
	if w.cancelProbes != nil {
		w.cancelProbes()
	}
	w.probeCtx, w.cancelProbes = nil, nil
}

// decide gives the state that follows from all that is known, with the reason when it is not Up. It is empty when nobody
// has answered yet and nothing was known before.
func (w *pathState) decide(now time.Time) (State, string) {
	w.reviewAt = time.Time{}
	if state, reason := w.path.linkFault(); state != "" {
		w.quorum = Undecided
		w.holdDown.failed()
		return state, reason
	}
	v, reason := w.evaluateQuorum()
	switch {
	case v == Undecided && w.state == "":
		return "", reason
	case v != Alive:
		w.holdDown.failed()
		return Down, reason
	case w.state == Down || w.state == Absent:
		if left := w.holdDown.succeeded(now); left > 0 {
			w.reviewAt = now.Add(left)
			return Down, fmt.Sprintf("answers again, but has gone down soon after it came up (%d times): it must answer for %v first", w.holdDown.flaps, w.holdDown.penalty)
		}
	}
	return w.upOrUnproven(now)
}

// evaluateQuorum asks the probes. New ones that have not decided yet leave everything as it was.
func (w *pathState) evaluateQuorum() (Liveness, string) {
	ballots := make([]vote, 0, len(w.probes))
	for _, i := range w.probes {
		ballots = append(ballots, i.vote())
	}
	v, reason := quorum(w.uplink.Quorum, ballots)
	if v == Undecided {
		return w.quorum, reason
	}
	w.quorum = v
	return v, reason
}

// strayWindow is how long a reply that strayed is held against the reply path.
const strayWindow = time.Minute

// upOrUnproven is Up or Unproven, as the proof says.
func (w *pathState) upOrUnproven(now time.Time) (State, string) {
	if result, why := w.currentProof(now); result == No {
		return Unproven, why
	}
	return Up, ""
}

// currentProof is what the proof says, with the replies that strayed a moment ago.
func (w *pathState) currentProof(now time.Time) (Result, string) {
	if result, why := w.proof.Result(); result == No {
		return No, why
	}
	if end := w.strayedAt.Add(strayWindow); !w.strayedAt.IsZero() && now.Before(end) {
		w.reviewAt = earliest(w.reviewAt, end)
		return No, fmt.Sprintf("%d replies of real connections left by another link a moment ago", w.recentStrays)
	}
	result, _ := w.proof.Result()
	return result, ""
}

// nextReview is when to look again although nothing happens; zero: never.
func (w *pathState) nextReview() time.Time {
	next := w.reviewAt
	for _, i := range w.probes {
		if i.target.attributionPending {
			next = earliest(next, i.target.attributionDeadline)
		}
	}
	return next
}

// earliest is the earlier of two times of which the zero one means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Usable reports whether the state lets traffic through.
func (s State) Usable() bool { return s == Up || s == Unproven }

// sameRoute reports whether two paths lead their questions the same way.
func (p Path) sameRoute(o Path) bool {
	p.Up, p.Carrier = o.Up, o.Carrier
	return p == o
}

// equal reports whether the uplink is watched in the same way.
func (u UplinkSettings) equal(o UplinkSettings) bool {
	return u.Name == o.Name && u.Quorum == o.Quorum && u.CarrierOnly == o.CarrierOnly && slices.Equal(u.Probes, o.Probes)
}
