package monitor

import (
	"time"

	"replypath/health"
)

// Parameters of the hold-down.
const (
	initialHoldDown = 10 * time.Second // after the first flap
	maxHoldDown     = 5 * time.Minute
	flapWindow      = time.Minute // a path that goes down within it after coming up has flapped
)

// holdDown dampens flaps, as RFC 2439 does for routes: after each flap the probes must be answered for twice as long before
// the path is up again. The penalty halves for each period of its own length, and of flapWindow at least, that the path
// stays up.
type holdDown struct {
	flaps          int
	penalty        time.Duration // as of upSince, or of when it went down
	upSince        time.Time     // zero: it is down, or has been up since the start
	answeringSince time.Time     // while it is down; zero: its probes are not answered
}

// wentDown records that the path went down.
func (h *holdDown) wentDown(now time.Time) {
	h.penalty = h.decayedPenalty(now)
	if !h.upSince.IsZero() && (h.penalty > 0 || now.Sub(h.upSince) < flapWindow) {
		h.flaps++
		h.penalty = min(max(2*h.penalty, initialHoldDown), maxHoldDown)
	}
	h.upSince, h.answeringSince = time.Time{}, time.Time{}
}

// cameUp records that the path is up again.
func (h *holdDown) cameUp(now time.Time) { h.upSince, h.answeringSince = now, time.Time{} }

// decayedPenalty returns the penalty that is left after the time that the path has been up.
func (h *holdDown) decayedPenalty(now time.Time) time.Duration {
	if h.upSince.IsZero() {
		return h.penalty
	}
	left, up := h.penalty, now.Sub(h.upSince)
	for left > 0 && up >= max(left, flapWindow) {
		up -= max(left, flapWindow)
		if left /= 2; left < initialHoldDown {
			left = 0
		}
	}
	return left
}

// succeeded records that the probes are answered while the path is down, and returns for how long they still must be.
func (h *holdDown) succeeded(now time.Time) time.Duration {
	if h.answeringSince.IsZero() {
		h.answeringSince = now
	}
	return h.remaining(now)
}

// failed records that the probes are not answered, or that the link is unfit.
func (h *holdDown) failed() { h.answeringSince = time.Time{} }

// remaining returns for how long the probes must still be answered before the path is up again.
func (h *holdDown) remaining(now time.Time) time.Duration {
	if h.answeringSince.IsZero() {
		return h.penalty
	}
	return max(h.penalty-now.Sub(h.answeringSince), 0)
}

// holdDownEvent is the kind of events that are for Monitor.OnHoldDown.
const holdDownEvent = "hold-down"

// evaluateHoldDown emits that a path is down only because it is held down, and that it no longer is.
func (e *engine) evaluateHoldDown(p *pathState) {
	if p.held == p.heldSent {
		return
	}
	p.heldSent = p.held
	event := health.Event{Kind: holdDownEvent}
	if p.held {
		event.To = holdDownEvent
	}
	e.emitPath(p, event)
}
