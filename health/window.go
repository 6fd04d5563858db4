package health

import "time"

// window is what came of the last WindowSize questions.
type window struct {
	rtts [WindowSize]time.Duration // negative: lost
	next int
	size int
	lost int
	sum  time.Duration
}

const lostRTT time.Duration = -1

// add takes in a round trip, or missed, and forgets the oldest when it is full.
func (w *window) add(rtt time.Duration) {
	if w.size == WindowSize {
		w.adjust(w.rtts[w.next], -1)
	} else {
		w.size++
	}
	w.rtts[w.next] = rtt
	w.adjust(rtt, 1)
	w.next = (w.next + 1) % WindowSize
}

func (w *window) adjust(rtt time.Duration, by int) {
	if rtt == lostRTT {
		w.lost += by
		return
	}
	w.sum += rtt * time.Duration(by)
}

// loss is the percentage of the questions that were lost.
func (w *window) loss() float64 {
	if w.size == 0 {
		return 0
	}
	return 100 * float64(w.lost) / float64(w.size)
}

// mean is the mean round trip of the answered; zero when there is none.
func (w *window) mean() time.Duration {
	if w.size == w.lost {
		return 0
	}
	return w.sum / time.Duration(w.size-w.lost)
}

// degradation is whether loss and latency are worse than the operator likes. Between the two thresholds it stays as it is.
type degradation struct{ loss, latency bool }

// update is the strain once the window has changed. Questions that are not asked yet count as answered: after a start one
// lost question of two is no loss of half.
func (s degradation) update(w *window, p Probe) degradation {
	lost := 100 * w.lost
	switch {
	case p.Loss.High == 0:
		s.loss = false
	case lost >= p.Loss.High*WindowSize:
		s.loss = true
	case lost <= p.Loss.Low*WindowSize:
		s.loss = false
	}
	mean := w.mean()
	switch {
	case p.Latency.High == 0:
		s.latency = false
	case mean >= p.Latency.High:
		s.latency = true
	case mean <= p.Latency.Low:
		s.latency = false
	}
	return s
}
