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

// modelProbe is a probe of the simulation, with its future outcome.
type modelProbe struct {
	sequence uint64
	sentAt   time.Time
	endsAt   time.Time
	outcome  health.Outcome
	done     bool
}

// simulation drives a Detector with a simulated clock. outcomeOf returns the duration and the error of each probe.
type simulation struct {
	detector  *Detector
	probes    []modelProbe
	now       time.Time
	counted   int // of probes, by modelLiveness
	outcomeOf func(sentAt time.Time) (time.Duration, error)
}

func newSimulation(p health.Probe, outcomeOf func(time.Time) (time.Duration, error)) *simulation {
	return &simulation{detector: NewDetector(p), now: time.Unix(1000, 0), outcomeOf: outcomeOf}
}

// step advances to the next event: a probe that is due, or the end of one.
func (s *simulation) step() {
	first := -1
	for i, q := range s.probes {
		if !q.done && (first < 0 || q.endsAt.Before(s.probes[first].endsAt)) {
			first = i
		}
	}
	due := s.detector.NextDue()
	if due.IsZero() || first >= 0 && s.probes[first].endsAt.Before(due) {
		q := &s.probes[first]
		s.now, q.done = q.endsAt, true
		s.detector.Record(q.sequence, s.now, q.outcome)
		return
	}
	if due.After(s.now) {
		s.now = due
	}
	took, err := s.outcomeOf(s.now)
	s.probes = append(s.probes, modelProbe{sequence: s.detector.Sent(s.now), sentAt: s.now, endsAt: s.now.Add(took), outcome: health.Outcome{Sent: s.now, RTT: took, Err: err}})
}

// modelLiveness models the Detector naively: it scans all probes again for each one that can be counted, as all before it are
// done.
func (s *simulation) modelLiveness(before Liveness) Liveness {
	p := s.detector.probe
	answered := func(q modelProbe) bool { return q.done && q.outcome.Err == nil }
	if before == Undecided && slices.ContainsFunc(s.probes, answered) {
		before = Alive
	}
	for ; s.counted < len(s.probes) && s.probes[s.counted].done; s.counted++ {
		row, later := s.probes[:s.counted+1], s.probes[s.counted+1:]
		run := 0
		for run < len(row) && answered(row[len(row)-1-run]) == answered(row[len(row)-1]) {
			run++
		}
		switch {
		case answered(row[len(row)-1]) && run >= p.Rise:
			before = Alive
		case !answered(row[len(row)-1]) && run >= p.Fall && !slices.ContainsFunc(later, answered):
			before = Dead
		}
	}
	return before
}

// randomProbe returns a probe with random valid parameters.
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
		lossRate := r.Float64()
		s := newSimulation(p, func(time.Time) (time.Duration, error) {
			if r.IntN(20) == 0 {
				lossRate = r.Float64()
			}
			switch took := time.Duration(r.Int64N(int64(p.Timeout))); {
			case r.Float64() >= lossRate:
				return took, nil
			case r.IntN(10) == 0:
				return 0, errLost // a send error
			}
			return p.Timeout, errLost
		})
		liveness := Undecided
		for n := range 400 {
			s.step()
			if liveness = s.modelLiveness(liveness); s.detector.liveness != liveness {
				t.Fatalf("seed %d, step %d: %v, the model says %v", seed, n, s.detector.liveness, liveness)
			}
		}
		s.checkCounts(t)
		s.checkIntervals(t)
	}
}

// checkCounts compares the counters and the window with all probes that were counted.
func (s *simulation) checkCounts(t *testing.T) {
	t.Helper()
	var sent, lost uint64
	var rtts []time.Duration
	for _, q := range s.probes {
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
	if got := s.detector.stats; got.sent != sent || got.lost != lost {
		t.Errorf("%d of %d lost, want %d of %d", got.lost, got.sent, lost, sent)
	}
	rtts = rtts[max(len(rtts)-health.WindowSize, 0):]
	answered, sum := 0, time.Duration(0)
	for _, rtt := range rtts {
		if rtt != lostRTT {
			answered, sum = answered+1, sum+rtt
		}
	}
	if want := 100 * float64(len(rtts)-answered) / float64(len(rtts)); s.detector.window.loss() != want {
		t.Errorf("%v %% lost, want %v", s.detector.window.loss(), want)
	}
	if answered > 0 && s.detector.window.mean() != sum/time.Duration(answered) {
		t.Errorf("mean %v, want %v", s.detector.window.mean(), sum/time.Duration(answered))
	}
}

// checkIntervals checks that probes are sent no slower than Interval and no faster than Retry.
func (s *simulation) checkIntervals(t *testing.T) {
	t.Helper()
	p := s.detector.probe
	for i := 1; i < len(s.probes); i++ {
		gap := s.probes[i].sentAt.Sub(s.probes[i-1].sentAt)
		if gap > p.Interval || gap < min(p.Interval, p.Retry, p.Timeout) {
			t.Errorf("probe %d was sent %v after the one before: interval %v, retry %v", i, gap, p.Interval, p.Retry)
		}
	}
	if len(s.detector.inFlight) > s.detector.maxInFlight() {
		t.Errorf("%d probes are in flight", len(s.detector.inFlight))
	}
}

func TestBlackHoleIsDetectedWithinTheDetectionTime(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomProbe(r)
		typicalRTT := time.Duration(r.Int64N(int64(p.Timeout)))
		blackHoleAt := time.Unix(1000, 0).Add(time.Duration(r.Int64N(int64(20 * p.Interval))))
		s := newSimulation(p, func(sentAt time.Time) (time.Duration, error) {
			if rtt := typicalRTT/2 + time.Duration(r.Int64N(int64(typicalRTT/2+1))); sentAt.Add(rtt).Before(blackHoleAt) {
				return rtt, nil
			}
			return p.Timeout, errLost
		})
		for n := 0; s.detector.liveness != Dead && n < 10000; n++ {
			s.step()
		}
		if took := s.now.Sub(blackHoleAt); s.detector.liveness != Dead || took > p.DetectionTime() {
			t.Fatalf("seed %d: %v after %v, the detection time is %v: %+v", seed, s.detector.liveness, took, p.DetectionTime(), p)
		}
	}
}

func TestLateAnswerStartsRetriesAndAnAnswerStopsThem(t *testing.T) {
	began := time.Unix(1000, 0)
	late := began.Add(9500 * time.Millisecond)
	s := newSimulation(icmpProbe(targetHost), func(sentAt time.Time) (time.Duration, error) {
		if sentAt.After(late) && sentAt.Before(late.Add(900*time.Millisecond)) {
			return time.Second, errLost // two probes
		}
		return 20 * time.Millisecond, nil
	})
	var at []time.Duration
	for s.now.Before(began.Add(13 * time.Second)) {
		s.step()
	}
	for _, q := range s.probes {
		if q.sentAt.After(late) {
			at = append(at, q.sentAt.Sub(began))
		}
	}
	ms := time.Millisecond
	want := []time.Duration{10000 * ms, 10200 * ms, 10400 * ms, 11400 * ms, 12400 * ms, 13400 * ms}
	if !slices.Equal(at[:5], want[:5]) {
		t.Errorf("sent at %v, want %v", at, want)
	}
	if s.detector.liveness != Alive {
		t.Errorf("the target is %v", s.detector.liveness)
	}
}

func TestConstantHighLatencyStartsNoRetries(t *testing.T) {
	s := newSimulation(icmpProbe(targetHost), func(time.Time) (time.Duration, error) { return 400 * time.Millisecond, nil })
	for range 200 {
		s.step()
	}
	for i := 5; i < len(s.probes); i++ {
		if gap := s.probes[i].sentAt.Sub(s.probes[i-1].sentAt); gap != health.DefaultInterval {
			t.Errorf("probe %d was sent after %v", i, gap)
		}
	}
}

func TestStaleOutcomesHaveNoEffect(t *testing.T) {
	j, now := NewDetector(icmpProbe(targetHost)), time.Unix(1000, 0)
	number := j.Sent(now)
	j.Restart(Alive)
	if j.Record(number, now.Add(time.Second), health.Outcome{Err: errLost}) || j.Record(99, now, health.Outcome{}) {
		t.Error("the outcome of a probe that is not in flight had an effect")
	}
	if next := j.NextDue(); next.After(now) || next.IsZero() {
		t.Errorf("after a restart the next probe is due at %v", next)
	}
	number = j.Sent(now)
	if !j.Record(number, now, health.Outcome{RTT: time.Millisecond}) || j.Record(number, now, health.Outcome{Err: errLost}) {
		t.Error("an outcome was not recorded exactly once")
	}
}

// Probes of gateways are due at ticks, however they began, and again after a disturbance: one wake-up of the process sends all. None is
// due later than an interval after the one before.
func TestProbesOfGatewaysAreDueAtTicks(t *testing.T) {
	const slot = time.Second / gatewaySlots
	d := NewDetector(health.NewProbe("gateway", health.Target{Kind: health.Gateway}))
	d.Stagger(1)
	now := time.Unix(1000, 0).Add(330 * time.Millisecond)
	d.Record(d.Sent(now), now, health.Outcome{Sent: now})
	disturbances := map[int]time.Duration{5: 400 * time.Millisecond, 9: 740 * time.Millisecond, 12: 3 * time.Millisecond}
	for i := range 20 {
		next := d.NextDue()
		if next.UnixNano()%int64(slot) != 0 {
			t.Fatalf("probe %d is due %s after a tick", i+2, time.Duration(next.UnixNano()%int64(slot)))
		}
		if after := next.Sub(now); after > time.Second || after < time.Second-2*slot {
			t.Errorf("probe %d is due after %s", i+2, after)
		}
		now = next.Add(time.Millisecond + disturbances[i])
		d.Record(d.Sent(now), now, health.Outcome{Sent: now})
	}
}

// A probe that is sent a little late does not delay the next one: those that are due together stay so.
func TestSmallDelaysDoNotAddUp(t *testing.T) {
	d := NewDetector(health.Probe{Interval: time.Second, Timeout: time.Second, Retry: 300 * time.Millisecond, Fall: 3, Rise: 1})
	began := time.Unix(1000, 0)
	send := func(at time.Duration) {
		now := began.Add(at)
		d.Record(d.Sent(now), now, health.Outcome{Sent: now})
	}
	send(0)
	for i := range 50 {
		due := time.Duration(i+1) * time.Second
		if next := d.NextDue(); !next.Equal(began.Add(due)) {
			t.Fatalf("probe %d is due after %s, want %s", i+2, next.Sub(began), due)
		}
		send(due + 90*time.Millisecond)
	}
	send(60*time.Second + 400*time.Millisecond) // the process was stopped for a while
	if next := d.NextDue(); !next.Equal(began.Add(61*time.Second + 400*time.Millisecond)) {
		t.Errorf("due after %s", next.Sub(began))
	}
}
