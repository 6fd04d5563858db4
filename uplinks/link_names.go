package uplinks

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// An uplink's link is configured by its name, by an alternative name of it (ip-link(8), altname) or by a pattern. Everything in the
// kernel has the name that the link has now, which ResolveLinks finds.

// patternEnd ends a pattern: it stands for any characters.
const patternEnd = "*"

// MaxLinkName is the length of the longest name of a link (IFNAMSIZ - 1).
const MaxLinkName = 15

// IsLinkPattern reports whether the text is a pattern of names of links, such as "ppp*".
func IsLinkPattern(text string) bool { return strings.HasSuffix(text, patternEnd) }

// MatchesLink reports whether the text is the name, or a pattern that the name matches.
func MatchesLink(text, name string) bool {
	start, isPattern := strings.CutSuffix(text, patternEnd)
	return text == name || isPattern && strings.HasPrefix(name, start)
}

// LinksOverlap reports whether a link can match both texts, each a name or a pattern.
func LinksOverlap(a, b string) bool {
	return MatchesLink(a, strings.TrimSuffix(b, patternEnd)) || MatchesLink(b, strings.TrimSuffix(a, patternEnd))
}

// ConfiguredLink returns the uplink's link as configured: its name, an alternative name or a pattern.
func (u Uplink) ConfiguredLink() string { return cmp.Or(u.alias, u.Link) }

// Alias returns the alternative name or the pattern that is configured, if the uplink's link was found by it.
func (u Uplink) Alias() string { return u.alias }

// named reports whether the uplink's link can have the name. Of a pattern that no link matches the name is not known, nor of an
// alternative name that is too long for a name.
func (u Uplink) named() bool { return isLinkName(u.Link) }

// isLinkName reports whether the text can be the name of a link.
func isLinkName(text string) bool { return !IsLinkPattern(text) && len(text) <= MaxLinkName }

// ResolveLinks returns the settings with the present names of links. A pattern or an alternative name of a link that is not there
// stays as it is, as does one whose link another uplink has, from which it cannot be distinguished.
func (s Settings) ResolveLinks(f Facts) Settings {
	r := linkResolver{settings: s, facts: f}
	if !r.needed() {
		return s
	}
	configured := s.Uplinks
	s.Uplinks = slices.Clone(configured)
	for i := range s.Uplinks {
		u := &s.Uplinks[i]
		u.Link, u.alias = u.ConfiguredLink(), ""
	}
	r.settings = s
	r.resolve(r.byAlternativeName)
	r.resolve(r.byPattern)
	renamed := map[string]string{}
	for _, u := range s.Uplinks {
		if u.alias != "" {
			renamed[u.alias] = u.Link
		}
	}
	return s.renameLinks(f, renamed)
}

// renameLinks gives the other links of the settings their present names: those of uplinks, and alternative names.
func (s Settings) renameLinks(f Facts, renamed map[string]string) Settings {
	present := func(links []string) []string {
		links = slices.Clone(links)
		for i, name := range links {
			if now, is := renamed[name]; is {
				links[i] = now
			} else if l, found := f.byAlternativeName(name); found {
				links[i] = l.Name
			}
		}
		return links
	}
	s.Inside = present(s.Inside)
	s.Outbound.Rules = slices.Clone(s.Outbound.Rules)
	for n := range s.Outbound.Rules {
		r := &s.Outbound.Rules[n]
		r.IIF, r.OIF = present([]string{r.IIF})[0], present([]string{r.OIF})[0]
	}
	if s.Accelerate != nil {
		s.Accelerate = &Acceleration{s.Accelerate.All, present(s.Accelerate.Links)}
	}
	if s.Interception != nil {
		i := *s.Interception
		i.Intercepts = slices.Clone(i.Intercepts)
		for n := range i.Intercepts {
			i.Intercepts[n].Links = present(i.Intercepts[n].Links)
		}
		s.Interception = &i
	}
	return s
}

// byAlternativeName returns the link with the alternative name, unless a link has it as its name.
func (f Facts) byAlternativeName(name string) (Link, bool) {
	if _, isName := f.Links[name]; isName {
		return Link{}, false
	}
	for _, l := range f.Links {
		if slices.Contains(l.AltNames, name) {
			return l, true
		}
	}
	return Link{}, false
}

// linkResolver finds the links of the uplinks of settings.
type linkResolver struct {
	settings Settings
	facts    Facts
}

// needed reports whether a link has another name than is written, or had one.
func (r linkResolver) needed() bool {
	unknown := func(link string) bool { _, there := r.facts.Links[link]; return !there }
	other := slices.ContainsFunc(r.settings.Uplinks, func(u Uplink) bool { return u.alias != "" || unknown(u.Link) }) ||
		slices.ContainsFunc(r.settings.Inside, unknown)
	other = other || slices.ContainsFunc(r.settings.Outbound.Rules, func(s Steering) bool { return s.IIF != "" && unknown(s.IIF) || s.OIF != "" && unknown(s.OIF) })
	other = other || r.settings.Accelerate != nil && slices.ContainsFunc(r.settings.Accelerate.Links, unknown)
	return other || r.settings.Interception != nil && slices.ContainsFunc(r.settings.Interception.Intercepts, func(i Intercept) bool {
		return slices.ContainsFunc(i.Links, unknown)
	})
}

// resolve gives the links that find returns to the uplinks.
func (r linkResolver) resolve(find func(Uplink) (Link, bool)) {
	for i := range r.settings.Uplinks {
		u := &r.settings.Uplinks[i]
		if l, found := find(*u); found && u.alias == "" && l.Name != u.Link {
			u.Link, u.alias = l.Name, u.Link
		}
	}
}

// byAlternativeName returns the link with the alternative name that the uplink has.
func (r linkResolver) byAlternativeName(u Uplink) (Link, bool) {
	if IsLinkPattern(u.Link) {
		return Link{}, false
	}
	l, found := r.facts.byAlternativeName(u.Link)
	return l, found && !slices.ContainsFunc(r.settings.Uplinks, func(o Uplink) bool { return o.Link == l.Name && !r.settings.separable(u, o) })
}

// byPattern returns the first link that the uplink's pattern matches.
func (r linkResolver) byPattern(u Uplink) (Link, bool) {
	if all := r.settings.LinksMatching(u.Link, r.facts); len(all) > 0 {
		return all[0], true
	}
	return Link{}, false
}

// separable reports whether both uplinks can be on one link: their routers are others in each family that both have.
func (s Settings) separable(u, o Uplink) bool {
	other := func(a, b Gateway) bool { return a != b || a == Gateway{} }
	return !s.Outbound.Enabled() && other(u.Gateway4, o.Gateway4) && other(u.Gateway6, o.Gateway6)
}

// LinksMatching returns the links that match the pattern and belong to no uplink with another one, nor to the inside. The first is
// used: packets come in by one that is up and has an address or a default route; of several the one that exists the longest.
func (s Settings) LinksMatching(pattern string, f Facts) []Link {
	if !IsLinkPattern(pattern) {
		return nil
	}
	all := slices.Collect(maps.Values(f.Links))
	all = slices.DeleteFunc(all, func(l Link) bool {
		return l.Name == "lo" || !MatchesLink(pattern, l.Name) || slices.Contains(s.Inside, l.Name) ||
			slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Link == l.Name && u.ConfiguredLink() != pattern })
	})
	slices.SortFunc(all, func(a, b Link) int {
		return cmp.Or(cmp.Compare(b.readiness(), a.readiness()), cmp.Compare(a.Index, b.Index))
	})
	return all
}

// AsReadyAs reports whether neither link is readier than the other.
func (l Link) AsReadyAs(o Link) bool { return l.readiness() == o.readiness() }

// OwnerOf returns the first uplink on the link with the alternative name, and the link's name; empty if there is none.
func (s Settings) OwnerOf(name string, f Facts) (uplink, link string) {
	l, found := f.byAlternativeName(name)
	if !found {
		return "", ""
	}
	for _, u := range s.Uplinks {
		if u.Link == l.Name {
			return u.Name, l.Name
		}
	}
	return "", ""
}

// readiness says how ready the link is to be an uplink's; the greatest number is readiest.
func (l Link) readiness() int {
	switch {
	case !l.manageable():
		return 0
	case !l.Up || !l.Carrier:
		return 1
	case len(l.sourceRuleAddrs())+len(l.Defaults) == 0:
		return 2
	}
	return 3
}

// SameLinks reports whether the uplinks of both settings have the same links.
func (s Settings) SameLinks(o Settings) bool {
	return slices.EqualFunc(s.Uplinks, o.Uplinks, func(a, b Uplink) bool { return a.Link == b.Link })
}
