package monitor

import (
	"time"

	"replypath/health"
)

// window holds the round-trip times of the last WindowSize probes, in a ring.
type window struct {
	rtts [health.WindowSize]time.Duration // or lostRTT
	next int
	size int
	lost int
	sum  time.Duration // of the answered
}

// lostRTT stands for a lost probe in a window.
const lostRTT time.Duration = -1

// add adds a round-trip time or lostRTT, in place of the oldest if the window is full.
func (w *window) add(rtt time.Duration) {
	if w.size == health.WindowSize {
		w.adjust(w.rtts[w.next], -1)
	} else {
		w.size++
	}
	w.rtts[w.next] = rtt
	w.adjust(rtt, 1)
	w.next = (w.next + 1) % health.WindowSize
}

func (w *window) adjust(rtt time.Duration, by int) {
	if rtt == lostRTT {
		w.lost += by
		return
	}
	w.sum += rtt * time.Duration(by)
}

// loss returns the percentage of lost probes.
func (w *window) loss() float64 {
	if w.size == 0 {
		return 0
	}
	return 100 * float64(w.lost) / float64(w.size)
}

// mean returns the mean round-trip time of the answered probes, or zero if there is none.
func (w *window) mean() time.Duration {
	if w.size == w.lost {
		return 0
	}
	return w.sum / time.Duration(w.size-w.lost)
}
