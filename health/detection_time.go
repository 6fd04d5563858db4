package health

import (
	"slices"
	"time"
)

// DetectionTime returns the longest time from the last answer of a target until its probe is down: the next probe is sent
// an Interval later and is lost after a Timeout; from then on further ones follow every Retry, and the last of them has its
// Timeout too.
func (p Probe) DetectionTime() time.Duration {
	if p.Fall == 1 {
		return p.Interval + p.Timeout
	}
	return p.Interval + 2*p.Timeout + time.Duration(p.Fall-2)*p.Retry
}

// DetectionTime returns the longest time until the path is down after all its targets stopped answering through it, while
// they still answer through the other uplinks. It is unknown for a path without probes.
func (s Settings) DetectionTime(p Path) (d time.Duration, known bool) {
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
	// Of n probes n-quorum may be down. The next one that falls takes the path down.
	return all[len(all)-s.Uplinks[i].Required(len(all))], true
}

// probeDetectionTime returns the detection time of one probe of the path. A target that other uplinks probe too might have
// failed itself, so one of them must have got an answer since the failure began.
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
