package uplinks

// Purpose replies: a reply leaves by the uplink that its request came in by. Its objects are the rules in
// replies_rules.go, the uplinks' tables in replies_routes.go, the chains in replies_chains.go and the link groups and
// sysctls in replies_tunables.go. It does not depend on verdicts: a reply by another uplink would have a wrong source
// address, even while its own uplink is down.

// addReplies adds what replies need.
func addReplies(want State, s Settings, f Facts, _ Verdicts) {
	s = s.WithFoundRouters(f)
	if f.Scopes != nil {
		addRepliesWithin(want, s, f)
		return
	}
	for _, family := range f.Families() {
		addRules(want, s, f, family)
		addChains(want, s, f, family)
	}
	for _, u := range s.Uplinks {
		addUplinkRoutes(want, s, f, u)
		addLinkTunables(want, s, f, u)
	}
	addNeighbours(want, s, f)
	addNamespaceTunables(want, s, f)
}

// addRepliesWithin adds the tables and tunables of f.Scopes. Rules and chains belong to the whole host.
func addRepliesWithin(want State, s Settings, f Facts) {
	for _, u := range s.Within(f.Scopes).Uplinks {
		addUplinkRoutes(want, s, f, u)
		if covers(f.Scopes, s.ScopeOf(u)) {
			addLinkTunables(want, s, f, u)
		}
	}
}
