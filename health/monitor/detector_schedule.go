package monitor

import (
	"time"

	"replypath/health"
)

// longAgo is a time in the past that is not the zero time.
var longAgo = time.Unix(0, 0)

// NextDue returns when the next probe is due; zero: not before one that is in flight has ended.
//
// Answered probes follow each other after Interval. While an answer is late or the last probe was lost, further ones follow
// after Retry, without waiting for those in flight, until there are enough of them to decide.
func (d *Detector) NextDue() time.Time {
	if d.lastSent.IsZero() {
		return longAgo
	}
	if len(d.inFlight) >= d.maxInFlight() {
		return time.Time{}
	}
	if d.expedited {
		return d.lastSent
	}
	regular, retry := d.lastDue.Add(d.probe.Interval), d.lastSent.Add(min(d.probe.Retry, d.probe.Timeout))
	if d.sequence == 1 {
		regular = regular.Add(-d.stagger)
	}
	unanswered, since := d.suspicion()
	if d.liveness == Dead || unanswered == 0 || unanswered >= d.probe.Fall {
		return regular
	}
	if retry.Before(since) {
		retry = since
	}
	return earlier(regular, retry)
}

// dueNear returns when the probe that is sent now was due, unless that is longer ago than a small part of the interval. Counted from
// then, probes that are due together stay together however late the timers are: one wake-up of the process sends them all. Those of
// gateways are due at ticks, by the clock as it is now, at which other components wake the process up too.
func (d *Detector) dueNear(now time.Time) time.Time {
	due := now
	if late := now.Sub(d.NextDue()); late >= 0 && late <= d.probe.Interval/maxLateness {
		due = now.Add(-late)
	}
	if d.probe.Target.Kind != health.Gateway {
		return due
	}
	return health.LastTick(due, d.probe.Interval/gatewaySlots)
}

// maxLateness is the part of the interval by which a probe may be sent later than it was due.
const maxLateness = 10

// Numbers of offsets within an interval that Stagger assigns.
const (
	staggerSlots = 16
	// gatewaySlots is smaller: each gateway is another host, on another link, and each slot wakes the process up.
	gatewaySlots = 4
)

// Stagger sends the second probe earlier, by an offset that depends on n, so that probes that start together do not stay
// together.
func (d *Detector) Stagger(n int) {
	slots := staggerSlots
	if d.probe.Target.Kind == health.Gateway {
		slots = gatewaySlots
	}
	d.stagger = d.probe.Interval / time.Duration(slots) * time.Duration(n%slots)
}

// Expedite makes the next probe due at once.
func (d *Detector) Expedite() { d.expedited = true }

// SuspectSince returns since when a failure is suspected, or, in the future, from when on: when the first probe since the
// last answer was lost or late. It is zero if no answer is outstanding.
func (d *Detector) SuspectSince() time.Time {
	_, since := d.suspicion()
	return since
}

// suspicion returns the number of probes that were sent since the last answered one, and when the first of them was lost or
// late.
func (d *Detector) suspicion() (unanswered int, since time.Time) {
	first := len(d.inFlight)
	for first > 0 && !d.inFlight[first-1].answered() {
		first--
	}
	for _, q := range d.inFlight[first:] {
		noticed := q.noticedAt
		if !q.done {
			noticed = q.sentAt.Add(d.lateAfter())
		}
		if since.IsZero() || noticed.Before(since) {
			since = noticed
		}
	}
	unanswered = len(d.inFlight) - first
	if first == 0 && d.lostInRow > 0 {
		return unanswered + d.lostInRow, d.firstLossAt
	}
	return unanswered, since
}

// lateAfter returns how long after its probe an answer is late: twice the smoothed round-trip time.
func (d *Detector) lateAfter() time.Duration {
	return min(max(d.probe.Retry, 2*d.smoothedRTT), d.probe.Timeout)
}

// maxInFlight limits the probes in flight in case a Prober exceeds its timeout.
func (d *Detector) maxInFlight() int {
	pace := max(min(d.probe.Retry, d.probe.Interval), time.Millisecond)
	return d.probe.Fall + d.probe.Rise + int(d.probe.Timeout/pace)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
