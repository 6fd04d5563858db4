package health

import (
	"slices"
	"time"
)

// ProbesFor are the probes that the path is judged by: the uplink's that are asked in its family, and otherwise its gateway,
// unless nobody should be asked then. On a point-to-point link nobody need know who is at the other end: there a
// gateway, written or not, is not asked. One that is not known yet elsewhere is counted on.
func (u UplinkSettings) ProbesFor(p Path) []Probe {
	onLink := p.OnLink
	var all []Probe
	for _, q := range u.ProbesIn(p.Family) {
		if q.Target.Kind != Gateway || !onLink {
			all = append(all, q)
		}
	}
	if len(all) == 0 && !onLink && !u.CarrierOnly {
		return []Probe{NewProbe(string(Gateway), Target{Kind: Gateway})}
	}
	return all
}

// DetectionTime is the longest time from the moment from which nobody answers by the path, while others do by theirs, until its
// uplink counts as down in its family. It is not known when nobody is asked.
func (s Settings) DetectionTime(p Path) (d time.Duration, ok bool) {
	i := slices.IndexFunc(s.Uplinks, func(u UplinkSettings) bool { return u.Name == p.Uplink })
	if i < 0 {
		return 0, false
	}
	var all []time.Duration
	for _, q := range s.Uplinks[i].ProbesFor(p) {
		all = append(all, s.probeDetectionTime(p, q))
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	// All fall silent at once. Of n probes of which the quorum must be answered, n-quorum may be down, and one more may not.
	return all[len(all)-s.Uplinks[i].required(len(all))], true
}

// probeDetectionTime is how long it takes for one probe. When another uplink asks the same target, that one must have been answered
// since something seemed to be wrong: the target could be to blame.
func (s Settings) probeDetectionTime(p Path, q Probe) time.Duration {
	d := q.DetectionTime()
	if q.Target.Kind == Gateway {
		return d
	}
	for _, u := range s.Uplinks {
		for _, other := range u.ProbesIn(p.Family) {
			if u.Name != p.Uplink && other.Target == q.Target {
				d = max(d, q.Interval+q.Timeout+other.Retry+other.Timeout)
			}
		}
	}
	return d
}

// required is how many of so many probes must be answered.
func (u UplinkSettings) required(probes int) int { return min(max(u.Quorum, 1), probes) }
