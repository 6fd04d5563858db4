package uplinks

import (
	"maps"
	"slices"
)

// Share is what can be looked at without the rest of the host: a link with the routes by it, and the table of the uplink
// whose link it is, or that table alone.
type Share struct {
	Link  string // empty: only the table
	Table Table  // 0: the link is no uplink's
}

// Place is where something has changed: a link, or a table of ours. The zero Place may be anywhere.
type Place struct {
	Link  int // its index
	Table Table
}

// Shares are those of a link: one for each uplink that has it, or else the link alone.
func (s Settings) Shares(link string) (all []Share) {
	for _, u := range s.Uplinks {
		if u.Link == link {
			all = append(all, s.share(u))
		}
	}
	if all == nil {
		return []Share{{Link: link}}
	}
	return all
}

// share is the uplink's.
func (s Settings) share(u Uplink) Share { return Share{u.Link, s.Table(u)} }

// Of are the settings for the uplinks of shares alone.
func (s Settings) Of(only []Share) Settings {
	some := s.Uplinks
	s.Uplinks = nil
	for _, u := range some {
		if covers(only, Share{Table: s.Table(u)}) {
			s.Uplinks = append(s.Uplinks, u)
		}
	}
	return s
}

// covers reports whether a share is among others, or in one of them.
func covers(all []Share, share Share) bool {
	return slices.ContainsFunc(all, func(s Share) bool {
		return s == share || share.Link == "" && s.Table == share.Table
	})
}

// Join adds a share to others, unless it is in them.
func Join(all []Share, share Share) []Share {
	if covers(all, share) {
		return all
	}
	all = slices.DeleteFunc(all, func(s Share) bool { return covers([]Share{share}, s) })
	return append(all, share)
}

// At gives the shares in which places are, on a host like the facts; false: it cannot be told.
func (s Settings) At(f Facts, at []Place) (all []Share, known bool) {
	for _, p := range at {
		in := s.in(f, p)
		if in == nil {
			return nil, false
		}
		for _, share := range in {
			all = Join(all, share)
		}
	}
	return all, true
}

// in are the shares of a place; none when it is not known.
func (s Settings) in(f Facts, p Place) []Share {
	if p.Table != 0 {
		if slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return s.Table(u) == p.Table }) {
			return []Share{{Table: p.Table}}
		}
		return nil
	}
	for name, l := range f.Links {
		if l.Index == p.Link {
			return s.Shares(name)
		}
	}
	return nil
}

// Of is the whole host's facts as those of some shares, or of the whole when none are named.
func (f Facts) Of(only []Share) Facts {
	f.Only = only
	return f
}

// With is the whole host's facts with those of some shares, looked at since, in the place of what they were.
func (f Facts) With(part Facts) Facts {
	if !slices.ContainsFunc(part.Only, func(s Share) bool { return s.Link != "" }) {
		return f
	}
	links, unlisted := maps.Clone(f.Links), map[string]int{}
	maps.Copy(unlisted, f.Unlisted)
	routed := slices.DeleteFunc(slices.Clone(f.Routed), func(r Routed) bool {
		return slices.ContainsFunc(part.Only, func(s Share) bool { return s.Link == r.Link })
	})
	for _, s := range part.Only {
		delete(unlisted, s.Link)
		if l, there := part.Links[s.Link]; there {
			links[s.Link] = l
		} else {
			delete(links, s.Link)
		}
	}
	maps.Copy(unlisted, part.Unlisted)
	f.Links, f.Routed, f.Unlisted = links, append(routed, part.Routed...), unlisted
	return f
}

// Moves reports whether facts of some shares, looked at since, can change more than the shares: rules go by addresses,
// also those that another link has, and what a link's number meant may have gone with the link.
func (f Facts) Moves(part Facts) bool {
	return slices.ContainsFunc(part.Only, func(s Share) bool {
		was, now := f.Links[s.Link], part.Links[s.Link]
		return was.Index != now.Index || !slices.Equal(was.owned(), now.owned()) || !slices.Equal(was.live(), now.live()) && f.alike(now)
	})
}

// alike reports whether another link has an address of the link's.
func (f Facts) alike(l Link) bool {
	for _, own := range l.owned() {
		for name, other := range f.Links {
			if name != l.Name && other.owns(own) {
				return true
			}
		}
	}
	return false
}
