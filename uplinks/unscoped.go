package uplinks

import "maps"

// addUnscoped adds the objects that belong to no scope: with f.Scopes they are neither read nor wanted.
func addUnscoped(want State, s Settings, f Facts) {
	addRouterCounters(want, s, f)
	addBackup(want, s, f)
	addEgressFilters(want, s, f)
	addRouterClassifiers(want, s.applied(f), f)
}

// UnscopedChange reports whether objects that belong to no scope are others with the facts after a change of a part of the host. They
// follow from all uplinks together, such as those that share a link.
func (s Settings) UnscopedChange(before, after Facts) bool {
	was, now := NewState(), NewState()
	for state, f := range map[*State]Facts{&was: before, &now: after} {
		f = f.WithScopes(nil)
		addUnscoped(*state, s.ResolveLinks(f), f)
	}
	return !maps.Equal(was.RouterCounters, now.RouterCounters) || !maps.Equal(was.Backup, now.Backup) ||
		!maps.EqualFunc(was.EgressFilters, now.EgressFilters, EgressFilter.Equal) ||
		!maps.EqualFunc(was.RouterClassifiers, now.RouterClassifiers, RouterClassifier.Equal)
}
