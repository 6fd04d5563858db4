package uplinks

import (
	"maps"
	"slices"
)

// Scope is a part of the host that can be observed alone: a link with its routes and the table of its uplink, or that
// table alone.
type Scope struct {
	Link  string // empty: only the table
	Table Table  // 0: the link is not an uplink's
}

// ChangedScope is the location of a kernel event: a link, or a table of replypath's. The zero value means an unknown
// location.
type ChangedScope struct {
	Link  int // index
	Table Table
}

// ScopesOf returns the scopes of a link: one for each uplink on it, or the link alone.
func (s Settings) ScopesOf(link string) (all []Scope) {
	for _, u := range s.Uplinks {
		if u.Link == link {
			all = append(all, s.ScopeOf(u))
		}
	}
	if all == nil {
		return []Scope{{Link: link}}
	}
	return all
}

// ScopeOf returns the scope of the uplink: its link and its table.
func (s Settings) ScopeOf(u Uplink) Scope { return Scope{u.Link, s.Table(u)} }

// Within returns the settings with only the uplinks whose tables are in the scopes; nil: of the whole host.
func (s Settings) Within(scopes []Scope) Settings {
	if scopes == nil {
		return s
	}
	all := s.Uplinks
	s.Uplinks = nil
	for _, u := range all {
		if covers(scopes, Scope{Table: s.Table(u)}) {
			s.Uplinks = append(s.Uplinks, u)
		}
	}
	return s
}

// covers reports whether a scope is one of the scopes, or the table of one.
func covers(all []Scope, scope Scope) bool {
	return slices.ContainsFunc(all, func(s Scope) bool {
		return s == scope || scope.Link == "" && s.Table == scope.Table
	})
}

// AddScope adds a scope, unless the scopes cover it, and drops those that it covers.
func AddScope(all []Scope, scope Scope) []Scope {
	if covers(all, scope) {
		return all
	}
	all = slices.DeleteFunc(all, func(s Scope) bool { return covers([]Scope{scope}, s) })
	return append(all, scope)
}

// ResolveScopes returns the scopes in which the changes are. It returns false for an unknown location, link or table: only
// an observation of the whole host covers it.
func (s Settings) ResolveScopes(f Facts, changed []ChangedScope) (all []Scope, known bool) {
	for _, p := range changed {
		resolved := s.resolveScope(f, p)
		if resolved == nil {
			return nil, false
		}
		for _, scope := range resolved {
			all = AddScope(all, scope)
		}
	}
	return all, true
}

// resolveScope returns the scopes of one change, nil if its location is unknown.
func (s Settings) resolveScope(f Facts, p ChangedScope) []Scope {
	if p.Table != 0 {
		if slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return s.Table(u) == p.Table }) {
			return []Scope{{Table: p.Table}}
		}
		return nil
	}
	if name, found := f.LinkName(p.Link); found {
		return s.ScopesOf(name)
	}
	return nil
}

// WithScopes returns the facts of the whole host, marked as those of the scopes; nil: of the whole host.
func (f Facts) WithScopes(scopes []Scope) Facts {
	f.Scopes = scopes
	return f
}

// Merge returns the facts of the whole host after a partial observation: the links and routes of part.Scopes are part's.
func (f Facts) Merge(part Facts) Facts {
	if !slices.ContainsFunc(part.Scopes, func(s Scope) bool { return s.Link != "" }) {
		return f
	}
	links, omitted := maps.Clone(f.Links), map[string]int{}
	maps.Copy(omitted, f.OmittedRoutes)
	routes := slices.DeleteFunc(slices.Clone(f.GatewayRoutes), func(r GatewayRoute) bool {
		return slices.ContainsFunc(part.Scopes, func(s Scope) bool { return s.Link == r.Link })
	})
	for _, s := range part.Scopes {
		delete(omitted, s.Link)
		if l, exists := part.Links[s.Link]; exists {
			links[s.Link] = l
		} else {
			delete(links, s.Link)
		}
	}
	maps.Copy(omitted, part.OmittedRoutes)
	f.Links, f.GatewayRoutes, f.OmittedRoutes = links, append(routes, part.GatewayRoutes...), omitted
	return f
}

// NeedsFullResync reports whether a partial observation shows a change that reaches beyond its scopes. Source rules select
// by address, and an address can move from one uplink to another. Chains name the parts of uplinks' networks that are
// inside. A link with a new index is another link: rules and routes of the old one may be gone with it.
func (f Facts) NeedsFullResync(part Facts) bool {
	return slices.ContainsFunc(part.Scopes, func(s Scope) bool {
		before, after := f.Links[s.Link], part.Links[s.Link]
		return before.Index != after.Index || !slices.Equal(before.sourceRuleAddrs(), after.sourceRuleAddrs()) ||
			!slices.Equal(before.usableSourceAddrs(), after.usableSourceAddrs()) && f.sharesAddress(after) ||
			f.movesInsideNetwork(part, s.Link) || before.Up != after.Up && len(f.FoundRouters) > 0
	})
}

// sharesAddress reports whether another link has an address of the link.
func (f Facts) sharesAddress(l Link) bool {
	for _, addr := range l.sourceRuleAddrs() {
		for name, other := range f.Links {
			if name != l.Name && other.hasSourceRuleAddr(addr) {
				return true
			}
		}
	}
	return false
}
