package monitor

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"replypath/health"
)

var errLost = errors.New("no answer")

// modelProbe is a question of the model, with what will come of it.
type modelProbe struct {
	sequence uint64
	sentAt   time.Time
	endsAt   time.Time
	outcome  health.Outcome
	done     bool
}

// simulation drives a judge by a clock of its own: fate says for each question how long it takes and what comes of it.
type simulation struct {
	detector  *Detector
	probes    []modelProbe
	now       time.Time
	counted   int // of all, by believed
	outcomeOf func(asked time.Time) (time.Duration, error)
}

func newSimulation(p health.Probe, outcomeOf func(time.Time) (time.Duration, error)) *simulation {
	return &simulation{detector: NewDetector(p), now: time.Unix(1000, 0), outcomeOf: outcomeOf}
}

// step goes to the next thing that happens: a question that is due, or the end of one.
func (c *simulation) step() {
	first := -1
	for i, q := range c.probes {
		if !q.done && (first < 0 || q.endsAt.Before(c.probes[first].endsAt)) {
			first = i
		}
	}
	due := c.detector.NextDue()
	if due.IsZero() || first >= 0 && c.probes[first].endsAt.Before(due) {
		q := &c.probes[first]
		c.now, q.done = q.endsAt, true
		c.detector.Record(q.sequence, c.now, q.outcome)
		return
	}
	if due.After(c.now) {
		c.now = due
	}
	took, err := c.outcomeOf(c.now)
	c.probes = append(c.probes, modelProbe{sequence: c.detector.Sent(c.now), sentAt: c.now, endsAt: c.now.Add(took), outcome: health.Outcome{Sent: c.now, RTT: took, Err: err}})
}

// modelLiveness is what follows from all questions so far, looked at from the start for each that can now be counted: those
// before which all are settled.
func (c *simulation) modelLiveness(before Liveness) Liveness {
	p := c.detector.probe
	good := func(q modelProbe) bool { return q.done && q.outcome.Err == nil }
	if before == Undecided && slices.ContainsFunc(c.probes, good) {
		before = Alive
	}
	for ; c.counted < len(c.probes) && c.probes[c.counted].done; c.counted++ {
		row, later := c.probes[:c.counted+1], c.probes[c.counted+1:]
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

// randomProbe is a probe with random numbers, all of them possible.
func randomProbe(r *rand.Rand) health.Probe {
	ms := func(from, to int) time.Duration { return time.Duration(from+r.IntN(to-from+1)) * time.Millisecond }
	p := health.NewProbe("p", health.Target{Kind: health.ICMP, Host: targetHost})
	p.Interval, p.Timeout, p.Retry = ms(50, 3000), ms(50, 3000), ms(10, 3000)
	p.Fall, p.Rise = 1+r.IntN(5), 1+r.IntN(6)
	return p
}

func TestDetectorAgreesWithTheModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := randomProbe(r)
		bad := r.Float64()
		c := newSimulation(p, func(time.Time) (time.Duration, error) {
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
			if verdict = c.modelLiveness(verdict); c.detector.liveness != verdict {
				t.Fatalf("seed %d, step %d: %v, the naive one says %v", seed, n, c.detector.liveness, verdict)
			}
		}
		c.checkCounts(t)
		c.checkIntervals(t)
	}
}

// checkCounts compares the counters and the window with all questions that count.
func (c *simulation) checkCounts(t *testing.T) {
	t.Helper()
	var sent, lost uint64
	var rtts []time.Duration
	for _, q := range c.probes {
		if !q.done {
			break
		}
		sent++
		rtt := q.outcome.RTT
		if q.outcome.Err != nil {
			lost++
			rtt = lostRTT
		}
		rtts = append(rtts, rtt)
	}
	if got := c.detector.stats; got.sent != sent || got.lost != lost {
		t.Errorf("%d of %d lost, want %d of %d", got.lost, got.sent, lost, sent)
	}
	rtts = rtts[max(len(rtts)-health.WindowSize, 0):]
	answered, sum := 0, time.Duration(0)
	for _, rtt := range rtts {
		if rtt != lostRTT {
			answered, sum = answered+1, sum+rtt
		}
	}
	if want := 100 * float64(len(rtts)-answered) / float64(len(rtts)); c.detector.window.loss() != want {
		t.Errorf("%v %% lost, want %v", c.detector.window.loss(), want)
	}
	if answered > 0 && c.detector.window.mean() != sum/time.Duration(answered) {
		t.Errorf("mean %v, want %v", c.detector.window.mean(), sum/time.Duration(answered))
	}
}

// checkPace: never slower than the interval, never faster than a retry.
func (c *simulation) checkIntervals(t *testing.T) {
	t.Helper()
	p := c.detector.probe
	for i := 1; i < len(c.probes); i++ {
		gap := c.probes[i].sentAt.Sub(c.probes[i-1].sentAt)
		if gap > p.Interval || gap < min(p.Interval, p.Retry, p.Timeout) {
			t.Errorf("question %d comes %v after the one before: interval %v, retry %v", i, gap, p.Interval, p.Retry)
		}
	}
	if len(c.detector.inFlight) > c.detector.maxInFlight() {
		t.Errorf("%d questions are open", len(c.detector.inFlight))
	}
}

func TestBlackHoleIsDetectedWithinTheDetectionTime(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomProbe(r)
		usual := time.Duration(r.Int64N(int64(p.Timeout)))
		hole := time.Unix(1000, 0).Add(time.Duration(r.Int64N(int64(20 * p.Interval))))
		c := newSimulation(p, func(asked time.Time) (time.Duration, error) {
			if rtt := usual/2 + time.Duration(r.Int64N(int64(usual/2+1))); asked.Add(rtt).Before(hole) {
				return rtt, nil
			}
			return p.Timeout, errLost
		})
		for n := 0; c.detector.liveness != Dead && n < 10000; n++ {
			c.step()
		}
		if took := c.now.Sub(hole); c.detector.liveness != Dead || took > p.DetectionTime() {
			t.Fatalf("seed %d: %v after %v, and the worst is %v: %+v", seed, c.detector.liveness, took, p.DetectionTime(), p)
		}
	}
}

func TestLateAnswerStartsRetriesAndAnAnswerStopsThem(t *testing.T) {
	began := time.Unix(1000, 0)
	late := began.Add(9500 * time.Millisecond)
	c := newSimulation(icmpProbe(targetHost), func(asked time.Time) (time.Duration, error) {
		if asked.After(late) && asked.Before(late.Add(900*time.Millisecond)) {
			return time.Second, errLost // two of them
		}
		return 20 * time.Millisecond, nil
	})
	var at []time.Duration
	for c.now.Before(began.Add(13 * time.Second)) {
		c.step()
	}
	for _, q := range c.probes {
		if q.sentAt.After(late) {
			at = append(at, q.sentAt.Sub(began))
		}
	}
	ms := time.Millisecond
	want := []time.Duration{10000 * ms, 10200 * ms, 10400 * ms, 11400 * ms, 12400 * ms, 13400 * ms}
	if !slices.Equal(at[:5], want[:5]) {
		t.Errorf("asked at %v, want %v", at, want)
	}
	if c.detector.liveness != Alive {
		t.Errorf("it is %v", c.detector.liveness)
	}
}

func TestConstantHighLatencyStartsNoRetries(t *testing.T) {
	c := newSimulation(icmpProbe(targetHost), func(time.Time) (time.Duration, error) { return 400 * time.Millisecond, nil })
	for range 200 {
		c.step()
	}
	for i := 5; i < len(c.probes); i++ {
		if gap := c.probes[i].sentAt.Sub(c.probes[i-1].sentAt); gap != health.DefaultInterval {
			t.Errorf("question %d comes after %v", i, gap)
		}
	}
}

func TestStaleOutcomesHaveNoEffect(t *testing.T) {
	j, now := NewDetector(icmpProbe(targetHost)), time.Unix(1000, 0)
	number := j.Sent(now)
	j.Restart(Alive)
	if j.Record(number, now.Add(time.Second), health.Outcome{Err: errLost}) || j.Record(99, now, health.Outcome{}) {
		t.Error("a question was heard that nobody waits for")
	}
	if next := j.NextDue(); next.After(now) || next.IsZero() {
		t.Errorf("after a new start the next question is due at %v", next)
	}
	number = j.Sent(now)
	if !j.Record(number, now, health.Outcome{RTT: time.Millisecond}) || j.Record(number, now, health.Outcome{Err: errLost}) {
		t.Error("a question is heard once")
	}
}
