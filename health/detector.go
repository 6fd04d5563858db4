package health

import "time"

// Detector decides from the outcomes of a probe's questions whether its target answers, and when to ask again. It knows no
// clock: every method is told the time. Its memory does not grow.
type Detector struct {
	probe    Probe
	liveness Liveness

	inFlight  []sentProbe // in the order asked; a settled one stays until all before it are settled too
	sequence  uint64      // of the last question
	lastSent  time.Time   // when it was asked
	expedited bool        // somebody wants to know soon
	stagger   time.Duration

	lostInRow, answeredInRow int       // in a row, of the settled
	firstLossAt              time.Time // when the first of the misses in a row was noticed
	lastAnswered             time.Time // when the newest question was asked that has been answered
	smoothedRTT              time.Duration
	window                   window
	degradation              degradation
	stats                    probeStats
}

// probeStats is what a judge tells beside its verdict.
type probeStats struct {
	sent, lost uint64
	lastRTT    time.Duration // of the last answer
	lastErr    error         // of the last loss, until an answer comes
}

type sentProbe struct {
	sequence  uint64
	sentAt    time.Time
	done      bool
	noticedAt time.Time // when it was settled, or late before
	outcome   Outcome
}

func (q sentProbe) answered() bool { return q.done && q.outcome.Err == nil }

// NewDetector is one that has asked nothing yet: the first answer makes its target alive, Fall misses make it dead.
func NewDetector(p Probe) *Detector { return &Detector{probe: p} }

// Sent notes that a question is put now, and gives its number.
func (j *Detector) Sent(now time.Time) uint64 {
	j.sequence++
	j.lastSent, j.expedited = now, false
	j.inFlight = append(j.inFlight, sentProbe{sequence: j.sequence, sentAt: now})
	return j.sequence
}

// Record takes in what came of a question. One that was forgotten meanwhile, or that was never asked, has no effect; Record
// reports whether it had one.
func (j *Detector) Record(number uint64, now time.Time, o Outcome) bool {
	for i := range j.inFlight {
		q := &j.inFlight[i]
		if q.sequence != number || q.done {
			continue
		}
		q.done, q.outcome = true, o
		q.noticedAt = earlier(now, q.sentAt.Add(j.lateAfter()))
		if o.Err == nil {
			j.recordAnswer(*q)
		} else {
			j.stats.lastErr = o.Err
		}
		j.countInOrder()
		return true
	}
	return false
}

// recordAnswer takes in an answer at once, whatever is still open before it.
func (j *Detector) recordAnswer(q sentProbe) {
	if q.sentAt.After(j.lastAnswered) {
		j.lastAnswered = q.sentAt
	}
	j.stats.lastRTT, j.stats.lastErr = q.outcome.RTT, nil
	if j.smoothedRTT == 0 {
		j.smoothedRTT = q.outcome.RTT
	}
	j.smoothedRTT += (q.outcome.RTT - j.smoothedRTT) / 8
	if j.liveness == Undecided {
		j.liveness = Alive
	}
}

// countInOrder counts in the order in which the questions were asked, since "in a row" means that order.
func (j *Detector) countInOrder() {
	for len(j.inFlight) > 0 && j.inFlight[0].done {
		q := j.inFlight[0]
		j.inFlight = append(j.inFlight[:0], j.inFlight[1:]...)
		j.count(q)
	}
	j.degradation = j.degradation.update(&j.window, j.probe)
}

// count takes in the next question of the row. So many misses that it would be dead are no reason when a newer question
// is known to have been answered.
func (j *Detector) count(q sentProbe) {
	j.stats.sent++
	if q.answered() {
		j.window.add(max(q.outcome.RTT, 0))
		j.lostInRow, j.answeredInRow = 0, j.answeredInRow+1
		if j.answeredInRow >= j.probe.Rise {
			j.liveness = Alive
		}
		return
	}
	j.stats.lost++
	j.window.add(lostRTT)
	if j.lostInRow == 0 {
		j.firstLossAt = q.noticedAt
	}
	j.lostInRow, j.answeredInRow = j.lostInRow+1, 0
	if j.lostInRow >= j.probe.Fall && !j.lastAnswered.After(q.sentAt) {
		j.liveness = Dead
	}
}

// Restart begins anew with a verdict: questions that are open are forgotten, misses and answers in a row are not counted
// on, and the next question is due at once.
func (j *Detector) Restart(v Liveness) {
	j.liveness, j.inFlight, j.lastSent = v, j.inFlight[:0], time.Time{}
	j.lostInRow, j.answeredInRow, j.expedited = 0, 0, false
	j.firstLossAt, j.lastAnswered = time.Time{}, time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
