package health

import "time"

// longAgo is a time that is past, and not the zero time.
var longAgo = time.Unix(0, 0)

// Next is when the next question is due; zero: not before one of those that are open is settled.
//
// When all is well it is an Interval after the last one. When an answer is late or a question was lost, further ones
// follow every Retry without waiting for those that are open, until as many are out as can decide.
func (j *Judge) Next() time.Time {
	if j.asked.IsZero() {
		return longAgo
	}
	if len(j.open) >= j.most() {
		return time.Time{}
	}
	if j.hurry {
		return j.asked
	}
	regular, retry := j.asked.Add(j.probe.Interval), j.asked.Add(min(j.probe.Retry, j.probe.Timeout))
	if j.number == 1 {
		regular = regular.Add(-j.spread)
	}
	unanswered, doubt := j.doubt()
	if j.verdict == Dead || unanswered == 0 || unanswered >= j.probe.Fall {
		return regular
	}
	if retry.Before(doubt) {
		retry = doubt
	}
	return earlier(regular, retry)
}

// spreads is in how many parts an interval is divided for judges that begin together.
const spreads = 16

// Spread brings the second question forward by a part of the interval that follows from n, so that the questions of many
// judges that begin together do not leave together for ever.
func (j *Judge) Spread(n int) { j.spread = j.probe.Interval / spreads * time.Duration(n%spreads) }

// Hurry makes the next question due now.
func (j *Judge) Hurry() { j.hurry = true }

// Doubt is since when something seems to be wrong, or from when it will be if no answer comes: the first of the questions
// since the last answer was lost, or its answer is late. It is zero when no answer is due.
func (j *Judge) Doubt() time.Time {
	_, since := j.doubt()
	return since
}

// doubt is how many questions have been put since the last one that was answered, and when the first of them was lost or
// is late.
func (j *Judge) doubt() (unanswered int, since time.Time) {
	first := len(j.open)
	for first > 0 && !j.open[first-1].answered() {
		first--
	}
	for _, q := range j.open[first:] {
		noticed := q.noticed
		if !q.settled {
			noticed = q.asked.Add(j.patience())
		}
		if since.IsZero() || noticed.Before(since) {
			since = noticed
		}
	}
	unanswered = len(j.open) - first
	if first == 0 && j.lost > 0 {
		return unanswered + j.lost, j.missed
	}
	return unanswered, since
}

// patience is how long an answer may take before it is late: twice what is usual.
func (j *Judge) patience() time.Duration {
	return min(max(j.probe.Retry, 2*j.usual), j.probe.Timeout)
}

// most bounds the questions that are open, should an asker not keep to the timeout.
func (j *Judge) most() int {
	pace := max(min(j.probe.Retry, j.probe.Interval), time.Millisecond)
	return j.probe.Fall + j.probe.Rise + int(j.probe.Timeout/pace)
}
