package health

import "time"

// longAgo is a time that is past, and not the zero time.
var longAgo = time.Unix(0, 0)

// NextDue is when the next question is due; zero: not before one of those that are open is settled.
//
// When all is well it is an Interval after the last one. When an answer is late or a question was lost, further ones
// follow every Retry without waiting for those that are open, until as many are out as can decide.
func (j *Detector) NextDue() time.Time {
	if j.lastSent.IsZero() {
		return longAgo
	}
	if len(j.inFlight) >= j.maxInFlight() {
		return time.Time{}
	}
	if j.expedited {
		return j.lastSent
	}
	regular, retry := j.lastSent.Add(j.probe.Interval), j.lastSent.Add(min(j.probe.Retry, j.probe.Timeout))
	if j.sequence == 1 {
		regular = regular.Add(-j.stagger)
	}
	unanswered, doubt := j.suspicion()
	if j.liveness == Dead || unanswered == 0 || unanswered >= j.probe.Fall {
		return regular
	}
	if retry.Before(doubt) {
		retry = doubt
	}
	return earlier(regular, retry)
}

// staggerSlots is in how many parts an interval is divided for judges that begin together.
const staggerSlots = 16

// Stagger brings the second question forward by a part of the interval that follows from n, so that the questions of many
// judges that begin together do not leave together for ever.
func (j *Detector) Stagger(n int) {
	j.stagger = j.probe.Interval / staggerSlots * time.Duration(n%staggerSlots)
}

// Expedite makes the next question due now.
func (j *Detector) Expedite() { j.expedited = true }

// SuspectSince is since when something seems to be wrong, or from when it will be if no answer comes: the first of the questions
// since the last answer was lost, or its answer is late. It is zero when no answer is due.
func (j *Detector) SuspectSince() time.Time {
	_, since := j.suspicion()
	return since
}

// suspicion is how many questions have been put since the last one that was answered, and when the first of them was lost or
// is late.
func (j *Detector) suspicion() (unanswered int, since time.Time) {
	first := len(j.inFlight)
	for first > 0 && !j.inFlight[first-1].answered() {
		first--
	}
	for _, q := range j.inFlight[first:] {
		noticed := q.noticedAt
		if !q.done {
			noticed = q.sentAt.Add(j.lateAfter())
		}
		if since.IsZero() || noticed.Before(since) {
			since = noticed
		}
	}
	unanswered = len(j.inFlight) - first
	if first == 0 && j.lostInRow > 0 {
		return unanswered + j.lostInRow, j.firstLossAt
	}
	return unanswered, since
}

// lateAfter is how long an answer may take before it is late: twice what is usual.
func (j *Detector) lateAfter() time.Duration {
	return min(max(j.probe.Retry, 2*j.smoothedRTT), j.probe.Timeout)
}

// maxInFlight bounds the questions that are open, should an asker not keep to the timeout.
func (j *Detector) maxInFlight() int {
	pace := max(min(j.probe.Retry, j.probe.Interval), time.Millisecond)
	return j.probe.Fall + j.probe.Rise + int(j.probe.Timeout/pace)
}
