package daemon

import (
	"maps"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// eventState is the kind of health's event about a path's state.
const eventState = "state"

// recordVerdict hands a path's new state to the reconciler, and triggers a round of the whole host: any object of a
// purpose may depend on a verdict.
func (s *Service) recordVerdict(e health.Event) {
	path := uplinks.PathKey{Uplink: e.Uplink}
	if err := path.Family.UnmarshalText([]byte(e.Family)); err != nil {
		return
	}
	if s.reconciler.SetVerdict(path, uplinks.Verdict(e.To)) {
		s.trigger("health of "+e.Uplink, uplinks.ChangedScope{})
	}
}

// SetVerdict sets the verdict of one path for the next rounds, and reports whether it differs from the one before.
// Safe for concurrent use.
func (k *Reconciler) SetVerdict(path uplinks.PathKey, v uplinks.Verdict) (changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.verdicts[path] == v {
		return false
	}
	verdicts := maps.Clone(k.verdicts) // a round may read the old map
	if verdicts == nil {
		verdicts = uplinks.Verdicts{}
	}
	verdicts[path] = v
	k.verdicts = verdicts
	return true
}

// dropVerdicts drops the verdicts of uplinks that are not in the settings, so that a later uplink of the same name starts
// without one. The caller holds k.mu.
func (k *Reconciler) dropVerdicts(s uplinks.Settings) {
	verdicts := maps.Clone(k.verdicts)
	maps.DeleteFunc(verdicts, func(p uplinks.PathKey, _ uplinks.Verdict) bool {
		return !slices.ContainsFunc(s.Uplinks, func(u uplinks.Uplink) bool { return u.Name == p.Uplink })
	})
	k.verdicts = verdicts
}
