package uplinks

// purposes are what replypath's objects in the kernel are for, in the order in which Desired composes them. Each is a pure
// function that adds its objects to the state, within its own Block. With f.Scopes it adds only the objects in those.
var purposes = [...]func(want State, s Settings, f Facts, v Verdicts){
	addReplies,
	addInterception,
	addOutbound,
	addUDPAnswers,
	addAcceleration,
	addGates,
}

// Desired returns the state that the kernel should have: the objects of every purpose, and the originals to restore. With
// f.Scopes it returns the part of the state in those scopes; f.Links still has all links. Settings without uplinks need
// no object: every tunable gets its original back. Paths that are left out have no objects, or the Kept ones.
func Desired(s Settings, f Facts, v Verdicts) State {
	want := NewState()
	if f.Scopes == nil {
		// Room for an uplink's objects in both families: a map that grows costs more than filling it.
		want.Rules = make(map[Rule]bool, 8*len(s.Uplinks))
		want.Routes = make(map[RouteKey]Route, 6*len(s.Uplinks))
	}
	s = s.ResolveLinks(f)
	applied := s.applied(f)
	addUnscoped(want, s, applied, f)
	for _, add := range purposes {
		add(want, applied, f, v)
	}
	if f.Scopes == nil {
		restoreOriginals(want, f)
	}
	return want
}

// restoreOriginals adds the original of every tunable that no purpose sets any more.
func restoreOriginals(want State, f Facts) {
	for t, original := range f.Originals {
		if _, wanted := want.Tunables[t]; !wanted {
			want.Restored[t] = original
		}
	}
}
