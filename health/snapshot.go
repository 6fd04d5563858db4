package health

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Uplinks says how all uplinks stand, in the order of the settings. It belongs to the caller.
func (m *Monitor) Uplinks() []UplinkStatus {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	all := make([]UplinkStatus, 0, len(m.order))
	for _, u := range m.order {
		s := UplinkStatus{Name: u.Name, Families: []Standing{}}
		for _, w := range m.ofUplink(u.Name) {
			s.ID, s.Interface = int(w.path.ID), w.path.Link
			standing := w.standing(now)
			s.Families = append(s.Families, standing)
			if !w.optional() && (s.State == "" || standing.State.rank() < s.State.rank()) {
				s.State = standing.State
			}
		}
		s.State = cmp.Or(s.State, Absent)
		all = append(all, s)
	}
	return all
}

// optional reports whether nobody misses the family: its gateway is left to be learnt, and it has never been there.
func (w *watch) optional() bool { return w.state == Absent && w.path.Learnt && !w.wasUp }

// rank orders states, worst first.
func (s State) rank() int { return slices.Index([]State{Absent, Down, Unproven, Up}, s) }

func (w *watch) standing(now time.Time) Standing {
	s := Standing{
		Family:  w.path.Family,
		State:   w.state,
		Reason:  w.reason,
		Since:   w.since,
		Changes: w.changes,
		Flaps:   w.hold.flaps,
		Probes:  make([]Answers, 0, len(w.inquiries)),
		Proof:   w.proof,
		History: w.history.last(now),
	}
	if s.State == "" {
		s.State = Down
	}
	if w.path.Source.IsValid() {
		s.Source = w.path.Source.String()
	}
	if w.path.Gateway.IsValid() {
		s.Gateway = w.path.Gateway.String()
	}
	if s.State.good() {
		s.Degraded = w.degraded()
	} else {
		s.HoldDown = w.hold.left(now).Seconds()
	}
	for _, i := range w.inquiries {
		s.Probes = append(s.Probes, i.answers())
	}
	return s
}

func (i *inquiry) answers() Answers {
	t := i.judge.tally
	a := Answers{
		Name:    i.probe.Name,
		Target:  i.probe.Target.String(),
		Up:      i.stands == Alive && !i.bad(),
		Bad:     i.bad(),
		Sent:    t.sent,
		Lost:    t.lost,
		RTT:     t.rtt.Seconds(),
		Mean:    i.judge.window.mean().Seconds(),
		Percent: math.Round(10*i.judge.window.loss()) / 10,
	}
	if t.err != nil {
		a.Error = t.err.Error()
	}
	return a
}

// degraded says in words what is not well although it is up.
func (w *watch) degraded() string {
	var all []string
	for _, i := range w.inquiries {
		p := i.probe
		switch {
		case i.bad():
			all = append(all, fmt.Sprintf("%s answers on no uplink: a bad target", p.Target))
		case i.stands == Dead:
			all = append(all, fmt.Sprintf("%s: %s", p.Target, i.why()))
		default:
			all = append(all, i.judge.strained()...)
		}
	}
	return strings.Join(all, "; ")
}

// strained says in words which thresholds are passed.
func (j *Judge) strained() (all []string) {
	if j.strain.loss {
		all = append(all, fmt.Sprintf("%s: %.0f %% of the last questions lost", j.probe.Target, j.window.loss()))
	}
	if j.strain.latency {
		all = append(all, fmt.Sprintf("%s: answers take %v on average", j.probe.Target, j.window.mean().Round(100*time.Microsecond)))
	}
	return all
}
