package monitor

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"replypath/health"
)

func (e *engine) status(now time.Time) []health.UplinkStatus {
	all := make([]health.UplinkStatus, 0, len(e.uplinks))
	for _, u := range e.uplinks {
		s := health.UplinkStatus{Name: u.Name, Families: []health.FamilyStatus{}}
		for _, p := range e.pathsOf(u.Name) {
			s.ID, s.Interface, s.Configured = int(p.path.ID), p.path.Link, p.path.Alias
			family := p.status(now)
			s.Families = append(s.Families, family)
			if !p.neverThere() && (s.State == "" || family.State.WorseThan(s.State)) {
				s.State = family.State
			}
		}
		s.State = cmp.Or(s.State, health.Absent)
		all = append(all, s)
	}
	return all
}

// neverThere reports whether the path has an automatic gateway and was never up: the provider does not offer the family, and
// so it does not count in the uplink's state.
func (p *pathState) neverThere() bool {
	return p.state == health.Absent && p.path.GatewayAuto && !p.wasUp && p.path.LeftOut == ""
}

func (p *pathState) status(now time.Time) health.FamilyStatus {
	s := health.FamilyStatus{
		Family:       p.path.Family,
		State:        cmp.Or(p.state, health.Down),
		Reason:       p.reason,
		LeftOut:      p.path.LeftOut,
		VIP:          p.path.VIP,
		Since:        p.since,
		StateChanges: p.changes,
		Flaps:        p.holdDown.flaps,
		Probes:       make([]health.ProbeStatus, 0, len(p.probes)),
		Proof:        p.currentProof(now),
		History:      p.history.lastHour(now),
	}
	s.Verdict = s.Proof.Verdict()
	if p.path.Source.IsValid() {
		s.Source = p.path.Source.String()
	}
	if p.path.Gateway.IsValid() {
		s.Gateway = p.path.Gateway.String()
	}
	if s.State.Usable() {
		s.Degraded = p.degradations()
	} else {
		s.HoldDownSeconds = p.holdDown.remaining(now).Seconds()
	}
	for _, probe := range p.probes {
		s.Probes = append(s.Probes, probe.status())
	}
	return s
}

func (s *probeState) status() health.ProbeStatus {
	stats := s.detector.stats
	status := health.ProbeStatus{
		Name:           s.probe.Name,
		Target:         s.probe.Target.String(),
		Up:             s.effective == Alive && !s.targetBad(),
		BadTarget:      s.targetBad(),
		Sent:           stats.sent,
		Lost:           stats.lost,
		RTTSeconds:     stats.lastRTT.Seconds(),
		MeanRTTSeconds: s.detector.window.mean().Seconds(),
		LossPercent:    math.Round(10*s.detector.window.loss()) / 10,
	}
	if stats.lastErr != nil {
		status.Error = stats.lastErr.Error()
	}
	return status
}

// degradations says, for people, what is wrong with a path that is usable.
func (p *pathState) degradations() string {
	var all []string
	for _, s := range p.probes {
		target := s.probe.Target
		switch {
		case s.targetBad():
			all = append(all, fmt.Sprintf("%s answers on no uplink and is ignored", target))
		case s.effective == Dead:
			all = append(all, fmt.Sprintf("%s: %s", target, s.reason()))
		default:
			all = append(all, s.detector.degradations()...)
		}
	}
	return strings.Join(all, "; ")
}
