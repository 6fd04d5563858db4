package monitor

import (
	"time"

	"replypath/health"
)

// Liveness says whether a target answers.
type Liveness uint8

// The zero Liveness is Undecided.
const (
	Undecided Liveness = iota
	Alive
	Dead
)

// String returns the liveness as a word.
func (l Liveness) String() string { return [...]string{"undecided", "alive", "dead"}[l] }

// Detector is a failure detector for one probe of one path: from the outcomes it decides the liveness of the target with
// rise and fall hysteresis, and from their times when the next probe is due (detector_schedule.go). It knows no clock, and
// its memory is bounded.
type Detector struct {
	probe    health.Probe
	liveness Liveness

	inFlight  []inFlightProbe // in the order sent; one that is done stays until all sent before it are done
	sequence  uint64          // of the last probe
	lastSent  time.Time
	lastDue   time.Time // when the last probe was due, if it was sent in time; the next one is counted from then
	expedited bool      // the next probe is due at once
	stagger   time.Duration

	lostInRow, answeredInRow int       // counted in the order sent
	firstLossAt              time.Time // when the first loss in the row was noticed
	lastAnswered             time.Time // when the newest answered probe was sent
	smoothedRTT              time.Duration
	window                   window
	degradation              degradation
	stats                    probeStats
}

// probeStats counts the probes of a Detector.
type probeStats struct {
	sent, lost uint64
	lastRTT    time.Duration // of the last answer
	lastErr    error         // of the last loss, if no answer came since
}

type inFlightProbe struct {
	sequence  uint64
	sentAt    time.Time
	done      bool
	noticedAt time.Time // when it was done or late, whichever came first
	outcome   health.Outcome
}

func (q inFlightProbe) answered() bool { return q.done && q.outcome.Err == nil }

// NewDetector returns a detector that is Undecided: the first answer makes it Alive, Fall losses make it Dead.
func NewDetector(p health.Probe) *Detector { return &Detector{probe: p} }

// Sent records that a probe is sent now, and returns its sequence number.
func (d *Detector) Sent(now time.Time) uint64 {
	d.lastDue = d.dueNear(now)
	d.sequence++
	d.lastSent, d.expedited = now, false
	d.inFlight = append(d.inFlight, inFlightProbe{sequence: d.sequence, sentAt: now})
	return d.sequence
}

// Record records the outcome of a sent probe. It returns false for a probe that is not in flight, or no longer.
func (d *Detector) Record(sequence uint64, now time.Time, o health.Outcome) bool {
	for i := range d.inFlight {
		q := &d.inFlight[i]
		if q.sequence != sequence || q.done {
			continue
		}
		q.done, q.outcome = true, o
		q.noticedAt = earlier(now, q.sentAt.Add(d.lateAfter()))
		if o.Err == nil {
			d.recordAnswer(*q)
		} else {
			d.stats.lastErr = o.Err
		}
		d.countInOrder()
		return true
	}
	return false
}

// recordAnswer makes use of an answer at once, whatever is in flight before it. The smoothed round-trip time is that of TCP
// (RFC 6298).
func (d *Detector) recordAnswer(q inFlightProbe) {
	if q.sentAt.After(d.lastAnswered) {
		d.lastAnswered = q.sentAt
	}
	d.stats.lastRTT, d.stats.lastErr = q.outcome.RTT, nil
	if d.smoothedRTT == 0 {
		d.smoothedRTT = q.outcome.RTT
	}
	d.smoothedRTT += (q.outcome.RTT - d.smoothedRTT) / 8
	if d.liveness == Undecided {
		d.liveness = Alive
	}
}

// countInOrder counts the probes that are done in the order in which they were sent: "in a row" means that order.
func (d *Detector) countInOrder() {
	for len(d.inFlight) > 0 && d.inFlight[0].done {
		q := d.inFlight[0]
		d.inFlight = append(d.inFlight[:0], d.inFlight[1:]...)
		d.count(q)
	}
	d.degradation = d.degradation.update(&d.window, d.probe)
}

// count counts the next probe in order. Fall losses in a row do not make the target Dead if a newer probe was answered.
func (d *Detector) count(q inFlightProbe) {
	d.stats.sent++
	if q.answered() {
		d.window.add(max(q.outcome.RTT, 0))
		d.lostInRow, d.answeredInRow = 0, d.answeredInRow+1
		if d.answeredInRow >= d.probe.Rise {
			d.liveness = Alive
		}
		return
	}
	d.stats.lost++
	d.window.add(lostRTT)
	if d.lostInRow == 0 {
		d.firstLossAt = q.noticedAt
	}
	d.lostInRow, d.answeredInRow = d.lostInRow+1, 0
	if d.lostInRow >= d.probe.Fall && !d.lastAnswered.After(q.sentAt) {
		d.liveness = Dead
	}
}

// Restart sets the liveness, forgets the probes in flight and the rows of losses and answers, and makes the next probe due
// at once.
func (d *Detector) Restart(l Liveness) {
	d.liveness, d.inFlight, d.lastSent, d.lastDue = l, d.inFlight[:0], time.Time{}, time.Time{}
	d.lostInRow, d.answeredInRow, d.expedited = 0, 0, false
	d.firstLossAt, d.lastAnswered = time.Time{}, time.Time{}
}
