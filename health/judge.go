package health

import "time"

// Judge decides from the outcomes of a probe's questions whether its target answers, and when to ask again. It knows no
// clock: every method is told the time. Its memory does not grow.
type Judge struct {
	probe   Probe
	verdict Verdict

	open   []question // in the order asked; a settled one stays until all before it are settled too
	number uint64     // of the last question
	asked  time.Time  // when it was asked
	hurry  bool       // somebody wants to know soon
	spread time.Duration

	lost, answered int       // in a row, of the settled
	missed         time.Time // when the first of the misses in a row was noticed
	heard          time.Time // when the newest question was asked that has been answered
	usual          time.Duration
	window         window
	strain         strain
	tally          tally
}

// tally is what a judge tells beside its verdict.
type tally struct {
	sent, lost uint64
	rtt        time.Duration // of the last answer
	err        error         // of the last loss, until an answer comes
}

type question struct {
	number  uint64
	asked   time.Time
	settled bool
	noticed time.Time // when it was settled, or late before
	outcome Outcome
}

func (q question) answered() bool { return q.settled && q.outcome.Err == nil }

// NewJudge is one that has asked nothing yet: the first answer makes its target alive, Fall misses make it dead.
func NewJudge(p Probe) *Judge { return &Judge{probe: p} }

// Ask notes that a question is put now, and gives its number.
func (j *Judge) Ask(now time.Time) uint64 {
	j.number++
	j.asked, j.hurry = now, false
	j.open = append(j.open, question{number: j.number, asked: now})
	return j.number
}

// Hear takes in what came of a question. One that was forgotten meanwhile, or that was never asked, has no effect; Hear
// reports whether it had one.
func (j *Judge) Hear(number uint64, now time.Time, o Outcome) bool {
	for i := range j.open {
		q := &j.open[i]
		if q.number != number || q.settled {
			continue
		}
		q.settled, q.outcome = true, o
		q.noticed = earlier(now, q.asked.Add(j.patience()))
		if o.Err == nil {
			j.hear(*q)
		} else {
			j.tally.err = o.Err
		}
		j.settle()
		return true
	}
	return false
}

// hear takes in an answer at once, whatever is still open before it.
func (j *Judge) hear(q question) {
	if q.asked.After(j.heard) {
		j.heard = q.asked
	}
	j.tally.rtt, j.tally.err = q.outcome.RTT, nil
	if j.usual == 0 {
		j.usual = q.outcome.RTT
	}
	j.usual += (q.outcome.RTT - j.usual) / 8
	if j.verdict == Undecided {
		j.verdict = Alive
	}
}

// settle counts in the order in which the questions were asked, since "in a row" means that order.
func (j *Judge) settle() {
	for len(j.open) > 0 && j.open[0].settled {
		q := j.open[0]
		j.open = append(j.open[:0], j.open[1:]...)
		j.count(q)
	}
	j.strain = j.strain.after(&j.window, j.probe)
}

// count takes in the next question of the row. So many misses that it would be dead are no reason when a newer question
// is known to have been answered.
func (j *Judge) count(q question) {
	j.tally.sent++
	if q.answered() {
		j.window.add(max(q.outcome.RTT, 0))
		j.lost, j.answered = 0, j.answered+1
		if j.answered >= j.probe.Rise {
			j.verdict = Alive
		}
		return
	}
	j.tally.lost++
	j.window.add(missed)
	if j.lost == 0 {
		j.missed = q.noticed
	}
	j.lost, j.answered = j.lost+1, 0
	if j.lost >= j.probe.Fall && !j.heard.After(q.asked) {
		j.verdict = Dead
	}
}

// Start begins anew with a verdict: questions that are open are forgotten, misses and answers in a row are not counted
// on, and the next question is due at once.
func (j *Judge) Start(v Verdict) {
	j.verdict, j.open, j.asked = v, j.open[:0], time.Time{}
	j.lost, j.answered, j.hurry = 0, 0, false
	j.missed, j.heard = time.Time{}, time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
