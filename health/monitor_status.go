package health

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Status says how all uplinks stand, in the order of the settings. It belongs to the caller.
func (m *Monitor) Status() []UplinkStatus {
	m.mu.Lock()
	defer m.unlock()
	now := time.Now()
	all := make([]UplinkStatus, 0, len(m.order))
	for _, u := range m.order {
		s := UplinkStatus{Name: u.Name, Families: []FamilyStatus{}}
		for _, w := range m.pathsOf(u.Name) {
			s.ID, s.Interface = int(w.path.ID), w.path.Link
			standing := w.status(now)
			s.Families = append(s.Families, standing)
			if !w.neverSeen() && (s.State == "" || standing.State.rank() < s.State.rank()) {
				s.State = standing.State
			}
		}
		s.State = cmp.Or(s.State, Absent)
		all = append(all, s)
	}
	return all
}

// neverSeen reports whether nobody misses the family: its gateway is left to be learnt, and it has never been there.
func (w *pathState) neverSeen() bool { return w.state == Absent && w.path.GatewayAuto && !w.wasUp }

// rank orders states, worst first.
func (s State) rank() int { return slices.Index([]State{Absent, Down, Unproven, Up}, s) }

func (w *pathState) status(now time.Time) FamilyStatus {
	s := FamilyStatus{
		Family:       w.path.Family,
		State:        w.state,
		Reason:       w.reason,
		Since:        w.since,
		StateChanges: w.changes,
		Flaps:        w.holdDown.flaps,
		Probes:       make([]ProbeStatus, 0, len(w.probes)),
		Proof:        w.proof,
		History:      w.history.lastHour(now),
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
	if s.State.Usable() {
		s.Degraded = w.degradations()
	} else {
		s.HoldDownSeconds = w.holdDown.remaining(now).Seconds()
	}
	for _, i := range w.probes {
		s.Probes = append(s.Probes, i.status())
	}
	return s
}

func (i *probeState) status() ProbeStatus {
	t := i.detector.stats
	a := ProbeStatus{
		Name:           i.probe.Name,
		Target:         i.probe.Target.String(),
		Up:             i.effective == Alive && !i.targetBad(),
		BadTarget:      i.targetBad(),
		Sent:           t.sent,
		Lost:           t.lost,
		RTTSeconds:     t.lastRTT.Seconds(),
		MeanRTTSeconds: i.detector.window.mean().Seconds(),
		LossPercent:    math.Round(10*i.detector.window.loss()) / 10,
	}
	if t.lastErr != nil {
		a.Error = t.lastErr.Error()
	}
	return a
}

// degradations says in words what is not well although it is up.
func (w *pathState) degradations() string {
	var all []string
	for _, i := range w.probes {
		p := i.probe
		switch {
		case i.targetBad():
			all = append(all, fmt.Sprintf("%s answers on no uplink: a bad target", p.Target))
		case i.effective == Dead:
			all = append(all, fmt.Sprintf("%s: %s", p.Target, i.reason()))
		default:
			all = append(all, i.detector.degradations()...)
		}
	}
	return strings.Join(all, "; ")
}

// degradations says in words which thresholds are passed.
func (j *Detector) degradations() (all []string) {
	if j.degradation.loss {
		all = append(all, fmt.Sprintf("%s: %.0f %% of the last questions lost", j.probe.Target, j.window.loss()))
	}
	if j.degradation.latency {
		all = append(all, fmt.Sprintf("%s: answers take %v on average", j.probe.Target, j.window.mean().Round(100*time.Microsecond)))
	}
	return all
}
