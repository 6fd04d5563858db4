package health

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var errLost = errors.New("no answer")

// asking is a question of the model, with what will come of it.
type asking struct {
	number  uint64
	asked   time.Time
	ends    time.Time
	outcome Outcome
	settled bool
}

// course drives a judge by a clock of its own: fate says for each question how long it takes and what comes of it.
type course struct {
	judge   *Judge
	all     []asking
	now     time.Time
	counted int // of all, by believed
	fate    func(asked time.Time) (time.Duration, error)
}

func newCourse(p Probe, fate func(time.Time) (time.Duration, error)) *course {
	return &course{judge: NewJudge(p), now: time.Unix(1000, 0), fate: fate}
}

// step goes to the next thing that happens: a question that is due, or the end of one.
func (c *course) step() {
	first := -1
	for i, q := range c.all {
		if !q.settled && (first < 0 || q.ends.Before(c.all[first].ends)) {
			first = i
		}
	}
	due := c.judge.Next()
	if due.IsZero() || first >= 0 && c.all[first].ends.Before(due) {
		q := &c.all[first]
		c.now, q.settled = q.ends, true
		c.judge.Hear(q.number, c.now, q.outcome)
		return
	}
	if due.After(c.now) {
		c.now = due
	}
	took, err := c.fate(c.now)
	c.all = append(c.all, asking{number: c.judge.Ask(c.now), asked: c.now, ends: c.now.Add(took), outcome: Outcome{Sent: c.now, RTT: took, Err: err}})
}

// believed is what follows from all questions so far, looked at from the start for each that can now be counted: those
// before which all are settled.
func (c *course) believed(before Verdict) Verdict {
	p := c.judge.probe
	good := func(q asking) bool { return q.settled && q.outcome.Err == nil }
	if before == Undecided && slices.ContainsFunc(c.all, good) {
		before = Alive
	}
	for ; c.counted < len(c.all) && c.all[c.counted].settled; c.counted++ {
		row, later := c.all[:c.counted+1], c.all[c.counted+1:]
		run := 0
		for run < len(row) && good(row[len(row)-1-run]) == good(row[len(row)-1]) {
			run++
		}
		switch {
		case good(row[len(row)-1]) && run >= p.Rise:
			before = Alive
		case !good(row[len(row)-1]) && run >= p.Fall && !slices.ContainsFunc(later, good):
			before = Dead
		}
	}
	return before
}

// someProbe is a probe with random numbers, all of them possible.
func someProbe(r *rand.Rand) Probe {
	ms := func(from, to int) time.Duration { return time.Duration(from+r.IntN(to-from+1)) * time.Millisecond }
	p := NewProbe("p", Target{Kind: ICMP, Host: pinged})
	p.Interval, p.Timeout, p.Retry = ms(50, 3000), ms(50, 3000), ms(10, 3000)
	p.Fall, p.Rise = 1+r.IntN(5), 1+r.IntN(6)
	return p
}

func TestAJudgeAgreesWithTheNaiveOne(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := someProbe(r)
		bad := r.Float64()
		c := newCourse(p, func(time.Time) (time.Duration, error) {
			if r.IntN(20) == 0 {
				bad = r.Float64()
			}
			switch took := time.Duration(r.Int64N(int64(p.Timeout))); {
			case r.Float64() >= bad:
				return took, nil
			case r.IntN(10) == 0:
				return 0, errLost // it could not be sent
			}
			return p.Timeout, errLost
		})
		verdict := Undecided
		for n := range 400 {
			c.step()
			if verdict = c.believed(verdict); c.judge.verdict != verdict {
				t.Fatalf("seed %d, step %d: %v, the naive one says %v", seed, n, c.judge.verdict, verdict)
			}
		}
		c.checkCounts(t)
		c.checkPace(t)
	}
}

// checkCounts compares the counters and the window with all questions that count.
func (c *course) checkCounts(t *testing.T) {
	t.Helper()
	var sent, lost uint64
	var rtts []time.Duration
	for _, q := range c.all {
		if !q.settled {
			break
		}
		sent++
		rtt := q.outcome.RTT
		if q.outcome.Err != nil {
			lost++
			rtt = missed
		}
		rtts = append(rtts, rtt)
	}
	if got := c.judge.tally; got.sent != sent || got.lost != lost {
		t.Errorf("%d of %d lost, want %d of %d", got.lost, got.sent, lost, sent)
	}
	rtts = rtts[max(len(rtts)-Window, 0):]
	answered, sum := 0, time.Duration(0)
	for _, rtt := range rtts {
		if rtt != missed {
			answered, sum = answered+1, sum+rtt
		}
	}
	if want := 100 * float64(len(rtts)-answered) / float64(len(rtts)); c.judge.window.loss() != want {
		t.Errorf("%v %% lost, want %v", c.judge.window.loss(), want)
	}
	if answered > 0 && c.judge.window.mean() != sum/time.Duration(answered) {
		t.Errorf("mean %v, want %v", c.judge.window.mean(), sum/time.Duration(answered))
	}
}

// checkPace: never slower than the interval, never faster than a retry.
func (c *course) checkPace(t *testing.T) {
	t.Helper()
	p := c.judge.probe
	for i := 1; i < len(c.all); i++ {
		gap := c.all[i].asked.Sub(c.all[i-1].asked)
		if gap > p.Interval || gap < min(p.Interval, p.Retry, p.Timeout) {
			t.Errorf("question %d comes %v after the one before: interval %v, retry %v", i, gap, p.Interval, p.Retry)
		}
	}
	if len(c.judge.open) > c.judge.most() {
		t.Errorf("%d questions are open", len(c.judge.open))
	}
}

func TestABlackHoleIsNeverFoundLaterThanTheWorstCase(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := someProbe(r)
		usual := time.Duration(r.Int64N(int64(p.Timeout)))
		hole := time.Unix(1000, 0).Add(time.Duration(r.Int64N(int64(20 * p.Interval))))
		c := newCourse(p, func(asked time.Time) (time.Duration, error) {
			if rtt := usual/2 + time.Duration(r.Int64N(int64(usual/2+1))); asked.Add(rtt).Before(hole) {
				return rtt, nil
			}
			return p.Timeout, errLost
		})
		for n := 0; c.judge.verdict != Dead && n < 10000; n++ {
			c.step()
		}
		if took := c.now.Sub(hole); c.judge.verdict != Dead || took > p.Worst() {
			t.Fatalf("seed %d: %v after %v, and the worst is %v: %+v", seed, c.judge.verdict, took, p.Worst(), p)
		}
	}
}

func TestALateAnswerBringsFurtherQuestionsAndAnAnswerEndsThem(t *testing.T) {
	began := time.Unix(1000, 0)
	late := began.Add(9500 * time.Millisecond)
	c := newCourse(ping(pinged), func(asked time.Time) (time.Duration, error) {
		if asked.After(late) && asked.Before(late.Add(900*time.Millisecond)) {
			return time.Second, errLost // two of them
		}
		return 20 * time.Millisecond, nil
	})
	var at []time.Duration
	for c.now.Before(began.Add(13 * time.Second)) {
		c.step()
	}
	for _, q := range c.all {
		if q.asked.After(late) {
			at = append(at, q.asked.Sub(began))
		}
	}
	ms := time.Millisecond
	want := []time.Duration{10000 * ms, 10200 * ms, 10400 * ms, 11400 * ms, 12400 * ms, 13400 * ms}
	if !slices.Equal(at[:5], want[:5]) {
		t.Errorf("asked at %v, want %v", at, want)
	}
	if c.judge.verdict != Alive {
		t.Errorf("it is %v", c.judge.verdict)
	}
}

func TestAnUplinkThatIsSlowAsUsualIsNotAskedMore(t *testing.T) {
	c := newCourse(ping(pinged), func(time.Time) (time.Duration, error) { return 400 * time.Millisecond, nil })
	for range 200 {
		c.step()
	}
	for i := 5; i < len(c.all); i++ {
		if gap := c.all[i].asked.Sub(c.all[i-1].asked); gap != DefaultInterval {
			t.Errorf("question %d comes after %v", i, gap)
		}
	}
}

func TestStaleOutcomesHaveNoEffect(t *testing.T) {
	j, now := NewJudge(ping(pinged)), time.Unix(1000, 0)
	number := j.Ask(now)
	j.Start(Alive)
	if j.Hear(number, now.Add(time.Second), Outcome{Err: errLost}) || j.Hear(99, now, Outcome{}) {
		t.Error("a question was heard that nobody waits for")
	}
	if next := j.Next(); next.After(now) || next.IsZero() {
		t.Errorf("after a new start the next question is due at %v", next)
	}
	number = j.Ask(now)
	if !j.Hear(number, now, Outcome{RTT: time.Millisecond}) || j.Hear(number, now, Outcome{Err: errLost}) {
		t.Error("a question is heard once")
	}
}
