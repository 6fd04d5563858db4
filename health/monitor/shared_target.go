package monitor

import (
	"slices"
	"time"

	"replypath/health"
)

// sharedTarget is a target in one family, with its probes on all uplinks. The gateway of an uplink has the probes of that
// uplink only.
type sharedTarget struct {
	key                 targetKey
	probes              []*probeState
	bad                 bool      // it fails on all uplinks
	attributionPending  bool      // a failure is neither the uplink's nor the target's yet
	attributionDeadline time.Time // when it will be the uplink's
}

// targetKey identifies a sharedTarget. If an uplink has several probes of a target, their failures are no independent
// reports: the nth ones of each uplink share a key.
type targetKey struct {
	target health.Target
	scope  health.Key // of a gateway; otherwise the family alone
	nth    int
}

func targetKeyOf(p health.Probe, k health.Key, nth int) targetKey {
	if p.Target.Kind != health.Gateway {
		k.Uplink = ""
	}
	return targetKey{p.Target, k, nth}
}

func (t *sharedTarget) remove(s *probeState) {
	t.probes = slices.DeleteFunc(t.probes, func(other *probeState) bool { return other == s })
}

// active returns the probes whose links are fit to send them.
func (t *sharedTarget) active() (all []*probeState) {
	for _, s := range t.probes {
		if s.owner.canProbe() {
			all = append(all, s)
		}
	}
	return all
}
