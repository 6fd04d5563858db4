package uplinks

import (
	"maps"
	"slices"
)

// Scope is what can be looked at without the rest of the host: a link with the routes by it, and the table of the uplink
// whose link it is, or that table alone.
type Scope struct {
	Link  string // empty: only the table
	Table Table  // 0: the link is no uplink's
}

// ChangedScope is where something has changed: a link, or a table of ours. The zero ChangedScope may be anywhere.
type ChangedScope struct {
	Link  int // its index
	Table Table
}

// ScopesOf are those of a link: one for each uplink that has it, or else the link alone.
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

// ScopeOf is the uplink's.
func (s Settings) ScopeOf(u Uplink) Scope { return Scope{u.Link, s.Table(u)} }

// Within are the settings for the uplinks of shares alone.
func (s Settings) Within(scopes []Scope) Settings {
	all := s.Uplinks
	s.Uplinks = nil
	for _, u := range all {
		if covers(scopes, Scope{Table: s.Table(u)}) {
			s.Uplinks = append(s.Uplinks, u)
		}
	}
	return s
}

// covers reports whether a share is among others, or in one of them.
func covers(all []Scope, scope Scope) bool {
	return slices.ContainsFunc(all, func(s Scope) bool {
		return s == scope || scope.Link == "" && s.Table == scope.Table
	})
}

// AddScope adds a share to others, unless it is in them.
func AddScope(all []Scope, scope Scope) []Scope {
	if covers(all, scope) {
		return all
	}
	all = slices.DeleteFunc(all, func(s Scope) bool { return covers([]Scope{scope}, s) })
	return append(all, scope)
}

// ResolveScopes gives the shares in which places are, on a host like the facts; false: it cannot be told.
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

// resolveScope are the shares of a place; none when it is not known.
func (s Settings) resolveScope(f Facts, p ChangedScope) []Scope {
	if p.Table != 0 {
		if slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return s.Table(u) == p.Table }) {
			return []Scope{{Table: p.Table}}
		}
		return nil
	}
	for name, l := range f.Links {
		if l.Index == p.Link {
			return s.ScopesOf(name)
		}
	}
	return nil
}

// WithScopes is the whole host's facts as those of some shares, or of the whole when none are named.
func (f Facts) WithScopes(scopes []Scope) Facts {
	f.Scopes = scopes
	return f
}

// Merge is the whole host's facts with those of some shares, looked at since, in the place of what they were.
func (f Facts) Merge(part Facts) Facts {
	if !slices.ContainsFunc(part.Scopes, func(s Scope) bool { return s.Link != "" }) {
		return f
	}
	links, omitted := maps.Clone(f.Links), map[string]int{}
	maps.Copy(omitted, f.OmittedRoutes)
	routed := slices.DeleteFunc(slices.Clone(f.GatewayRoutes), func(r GatewayRoute) bool {
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
	f.Links, f.GatewayRoutes, f.OmittedRoutes = links, append(routed, part.GatewayRoutes...), omitted
	return f
}

// NeedsFullResync reports whether facts of some shares, looked at since, can change more than the shares: rules go by addresses,
// also those that another link has, and what a link's number meant may have gone with the link.
func (f Facts) NeedsFullResync(part Facts) bool {
	return slices.ContainsFunc(part.Scopes, func(s Scope) bool {
		before, after := f.Links[s.Link], part.Links[s.Link]
		return before.Index != after.Index || !slices.Equal(before.sourceRuleAddrs(), after.sourceRuleAddrs()) || !slices.Equal(before.usableSourceAddrs(), after.usableSourceAddrs()) && f.sharesAddress(after)
	})
}

// sharesAddress reports whether another link has an address of the link's.
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
