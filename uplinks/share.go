package uplinks

import (
	"maps"
	"slices"
)

// Share is what can be looked at without the rest of the host: a link with the routes by it, and the table of the uplink
// whose link it is.
type Share struct {
	Link  string
	Table Table // 0: the link is no uplink's
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
			all = append(all, Share{link, s.Table(u)})
		}
	}
	if all == nil {
		return []Share{{Link: link}}
	}
	return all
}

// At gives the shares in which places are, on a host like the facts; false: it cannot be told.
func (s Settings) At(f Facts, at []Place) (all []Share, known bool) {
	for _, p := range at {
		link := f.linkOf(s, p)
		if link == "" {
			return nil, false
		}
		for _, share := range s.Shares(link) {
			if !slices.Contains(all, share) {
				all = append(all, share)
			}
		}
	}
	return all, true
}

// linkOf is the name of the link that a place is about, or empty.
func (f Facts) linkOf(s Settings, p Place) string {
	if p.Table != 0 {
		for _, u := range s.Uplinks {
			if s.Table(u) == p.Table {
				return u.Link
			}
		}
		return ""
	}
	for name, l := range f.Links {
		if l.Index == p.Link {
			return name
		}
	}
	return ""
}

// covers reports whether facts of some shares are of the uplink's.
func (f Facts) covers(s Settings, u Uplink) bool {
	return slices.Contains(f.Only, Share{u.Link, s.Table(u)})
}

// With is the whole host's facts with those of some shares, looked at since, in the place of what they were.
func (f Facts) With(part Facts) Facts {
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
// and what a link's number meant may have gone with the link.
func (f Facts) Moves(part Facts) bool {
	return slices.ContainsFunc(part.Only, func(s Share) bool {
		was, now := f.Links[s.Link], part.Links[s.Link]
		return was.Index != now.Index || !slices.Equal(was.owned(), now.owned())
	})
}

// Of is the part of a state that is in shares: their tables and their links' tunables.
func (s State) Of(shares []Share) State {
	part := NewState()
	links, tables := map[string]bool{}, map[Table]bool{}
	for _, of := range shares {
		links[of.Link], tables[of.Table] = true, true
	}
	for k, r := range s.Routes {
		if tables[k.Table] {
			part.Routes[k] = r
		}
	}
	for t, value := range s.Tunables {
		if t.Link != "" && links[t.Link] {
			part.Tunables[t] = value
		}
	}
	return part
}

// Put changes a part of the state, as Of gave it, to another.
func (s State) Put(old, part State) {
	for k := range old.Routes {
		delete(s.Routes, k)
	}
	for t := range old.Tunables {
		delete(s.Tunables, t)
	}
	maps.Copy(s.Routes, part.Routes)
	maps.Copy(s.Tunables, part.Tunables)
}
