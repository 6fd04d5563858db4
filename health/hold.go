package health

import "time"

// The times of a hold-down.
const (
	holdFirst = 10 * time.Second // after the first flap
	holdMost  = 5 * time.Minute
	holdSoon  = time.Minute // going down so soon after coming up is a flap
)

// hold makes an uplink that flaps answer for longer before it is up again: twice as long after each flap, half as long
// for each time that it has stayed up for so long, and for longer than would be a flap.
type hold struct {
	flaps     int
	penalty   time.Duration // as of the last time that it went down, or came up
	up        time.Time     // when it came up again; zero: it is down, or has been up since the start
	answering time.Time     // since when it answers while it is down
}

// fell notes that it went down.
func (h *hold) fell(now time.Time) {
	h.penalty = h.remains(now)
	if !h.up.IsZero() && (h.penalty > 0 || now.Sub(h.up) < holdSoon) {
		h.flaps++
		h.penalty = min(max(2*h.penalty, holdFirst), holdMost)
	}
	h.up, h.answering = time.Time{}, time.Time{}
}

// rose notes that it is up again.
func (h *hold) rose(now time.Time) { h.up, h.answering = now, time.Time{} }

// remains is the penalty that is left after the time that it has been up.
func (h *hold) remains(now time.Time) time.Duration {
	if h.up.IsZero() {
		return h.penalty
	}
	left, stayed := h.penalty, now.Sub(h.up)
	for left > 0 && stayed >= max(left, holdSoon) {
		stayed -= max(left, holdSoon)
		if left /= 2; left < holdFirst {
			left = 0
		}
	}
	return left
}

// answers notes that everything speaks for it while it is down, and gives how long it must go on so.
func (h *hold) answers(now time.Time) time.Duration {
	if h.answering.IsZero() {
		h.answering = now
	}
	return max(h.penalty-now.Sub(h.answering), 0)
}

// fails notes that something speaks against it again.
func (h *hold) fails() { h.answering = time.Time{} }

// left is how long it must still answer before it is up again.
func (h *hold) left(now time.Time) time.Duration {
	if h.answering.IsZero() {
		return h.penalty
	}
	return max(h.penalty-now.Sub(h.answering), 0)
}
