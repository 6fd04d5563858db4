package uplinks

import "maps"

// addUnscoped adds the tables and programs that belong to no scope: with f.Scopes they are neither read nor wanted. applied are the
// settings without the paths that are left out, which all but the classifiers have too.
func addUnscoped(want State, s, applied Settings, f Facts) {
	if f.Scopes != nil {
		return
	}
	addRouterCounters(want, s, f)
	addBackup(want, s, f)
	addEgressFilters(want, s, f)
	addRouterClassifiers(want, applied, f)
}

// UnscopedChange reports whether what addUnscoped adds is different with the facts after a change of a part of the host. It follows from
// all uplinks together, such as those that share a link.
func (s Settings) UnscopedChange(before, after Facts) bool {
	was, now := s.unscoped(before), s.unscoped(after)
	return !maps.Equal(was.RouterCounters, now.RouterCounters) || !maps.Equal(was.Backup, now.Backup) ||
		!maps.EqualFunc(was.EgressFilters, now.EgressFilters, EgressFilter.Equal) ||
		!maps.EqualFunc(was.RouterClassifiers, now.RouterClassifiers, RouterClassifier.Equal)
}

// unscoped returns what addUnscoped adds for the whole host.
func (s Settings) unscoped(f Facts) State {
	want := NewState()
	f = f.WithScopes(nil)
	s = s.ResolveLinks(f)
	addUnscoped(want, s, s.applied(f), f)
	return want
}
