package health

import "time"

// The times of a hold-down.
const (
	initialHoldDown = 10 * time.Second // after the first flap
	maxHoldDown     = 5 * time.Minute
	flapWindow      = time.Minute // going down so soon after coming up is a flap
)

// holdDown makes an uplink that flaps answer for longer before it is up again: twice as long after each flap, half as long
// for each time that it has stayed up for so long, and for longer than would be a flap.
type holdDown struct {
	flaps          int
	penalty        time.Duration // as of the last time that it went down, or came up
	upSince        time.Time     // when it came up again; zero: it is down, or has been up since the start
	answeringSince time.Time     // since when it answers while it is down
}

// wentDown notes that it went down.
func (h *holdDown) wentDown(now time.Time) {
	h.penalty = h.decayedPenalty(now)
	if !h.upSince.IsZero() && (h.penalty > 0 || now.Sub(h.upSince) < flapWindow) {
		h.flaps++
		h.penalty = min(max(2*h.penalty, initialHoldDown), maxHoldDown)
	}
	h.upSince, h.answeringSince = time.Time{}, time.Time{}
}

// cameUp notes that it is up again.
func (h *holdDown) cameUp(now time.Time) { h.upSince, h.answeringSince = now, time.Time{} }

// decayedPenalty is the penalty that is left after the time that it has been up.
func (h *holdDown) decayedPenalty(now time.Time) time.Duration {
	if h.upSince.IsZero() {
		return h.penalty
	}
	left, stayed := h.penalty, now.Sub(h.upSince)
	for left > 0 && stayed >= max(left, flapWindow) {
		stayed -= max(left, flapWindow)
		if left /= 2; left < initialHoldDown {
			left = 0
		}
	}
	return left
}

// succeeded notes that everything speaks for it while it is down, and gives how long it must go on so.
func (h *holdDown) succeeded(now time.Time) time.Duration {
	if h.answeringSince.IsZero() {
		h.answeringSince = now
	}
	return max(h.penalty-now.Sub(h.answeringSince), 0)
}

// failed notes that something speaks against it again.
func (h *holdDown) failed() { h.answeringSince = time.Time{} }

// remaining is how long it must still answer before it is up again.
func (h *holdDown) remaining(now time.Time) time.Duration {
	if h.answeringSince.IsZero() {
		return h.penalty
	}
	return max(h.penalty-now.Sub(h.answeringSince), 0)
}
