package uplinks

import (
	"cmp"
	"maps"
	"slices"

	"replypath/marks"
)

// DesiredNext returns what Desired does, or the state before it through which the kernel must go: uplinks that get the id which another one
// has in the kernel, and exchanges for a third, get ids that nobody has, so that at every moment a mark and a table are of one uplink. It
// returns the settings with the ids of the state, and false in the first case: without such an uplink, in every doubt, if a path is left
// out, and if the kernel is in that state. It reads the ids of the kernel anew each time, so that a change that was interrupted goes on.
func DesiredNext(s Settings, f Facts, v Verdicts, have State) (Settings, State, bool) {
	want := Desired(s, f, v)
	exchanged := s.exchangedIDs(want, have)
	if len(exchanged) == 0 || len(f.Refused) > 0 || len(f.LeftOut(s)) > 0 {
		return s, want, false
	}
	between, free := s.withFreeIDs(exchanged, f, want, have)
	if !free {
		return s, want, false
	}
	next := Desired(between, f, v)
	next.keepTables(want, have)
	if len(Diff(next, have)) == 0 {
		return s, want, false
	}
	return between, next, true
}

// keepTables leaves those tables of nftables as they are that are there in the other state, and adds no classifiers, but keeps those that
// the desired state has, too. They are compared with the settings when the kernel is read, so that those for other ids would seem to be
// damaged. The packets that meet them meanwhile are treated as before: nothing in them is of a mark that has another meaning.
func (s *State) keepTables(want, have State) {
	if len(have.Backup) > 0 {
		s.Backup = have.Backup
	}
	if len(have.RouterCounters) > 0 {
		s.RouterCounters = have.RouterCounters
	}
	s.RouterClassifiers = map[int]RouterClassifier{}
	for index, c := range have.RouterClassifiers {
		if wanted, exists := want.RouterClassifiers[index]; exists && c.Equal(wanted) {
			s.RouterClassifiers[index] = c
		}
	}
}

// exchangedIDs returns the ids that their uplink cannot have at once: one of another uplink in the kernel, and one whose uplink in the
// kernel gets another id. Each follows from an uplink that leads in the kernel, by another mark, where it leads from now on. Where another
// family says that it keeps its id, it does. An uplink that has its new mark beside the one before has begun to change: that one stays
// exchanged if it becomes that of another link.
func (s Settings) exchangedIDs(want, have State) map[marks.ID]bool {
	if !s.changesMarks(want, have) {
		return nil
	}
	before, used, taken := have.marksByEnd(), want.lookedUp(), have.lookedUp()
	keeps, exchanged, begun := map[marks.ID]bool{}, map[marks.ID]map[marks.ID]bool{}, map[marks.ID]bool{}
	for end, to := range soleMarks(want.markEnds()) {
		id := s.Mask.ID(to.mark)
		if to.mask != s.Mask || slices.Contains(before[end], to) {
			keeps[id] = true
			for _, had := range before[end] {
				if had != to && had.mask == s.Mask && used[had] && !want.passes(had, end.link) {
					begun[s.Mask.ID(had.mark)] = true
				}
			}
			continue
		}
		for _, had := range before[end] {
			if had.mask != s.Mask {
				continue
			}
			if exchanged[id] == nil {
				exchanged[id] = map[marks.ID]bool{}
			}
			if taken[to] {
				exchanged[id][id] = true
			}
			if used[had] {
				exchanged[id][s.Mask.ID(had.mark)] = true
			}
		}
	}
	for id, because := range exchanged {
		if !keeps[id] {
			maps.Copy(begun, because)
		}
	}
	return begun
}

// changesMarks reports whether a mark is of an uplink in one of the states alone, or leads elsewhere, while mask and tables are the same.
func (s Settings) changesMarks(want, have State) (changes bool) {
	for r := range have.Rules {
		if !r.looksUpMark() {
			continue
		}
		if r.Mask == s.Mask && r.Table != s.TableBase+Table(s.Mask.ID(r.Mark)) {
			return false
		}
		changes = changes || !want.Rules[r]
	}
	for r := range want.Rules {
		changes = changes || r.looksUpMark() && !have.Rules[r]
	}
	for k, r := range want.Routes {
		if k.Dst == k.Family.DefaultPrefix() && r.Link != "" {
			had := have.Routes[k]
			changes = changes || had.Link != r.Link || had.Gateway != r.Gateway
		}
	}
	return changes
}

// withFreeIDs returns the settings with other ids for those uplinks, and false if there are too few.
func (s Settings) withFreeIDs(exchanged map[marks.ID]bool, f Facts, want, have State) (Settings, bool) {
	last := s.Mask.MaxID()
	if s.Outbound.sticky() {
		last = s.FirstBucket() - 1
	}
	taken, wanted := s.takenIDs(f, want, have), want.markEnds()
	before, ends, lookedUp := have.tableOwners(), have.markEnds(), have.lookedUp()
	s.Uplinks = slices.Clone(s.Uplinks)
	for i := range s.Uplinks {
		u := &s.Uplinks[i]
		if !exchanged[u.ID] {
			continue
		}
		var own []uplinkEnd
		for _, family := range Families {
			if end, known := wanted[pathMark{family, s.Mark(*u), s.Mask}]; known {
				own = append(own, end)
			}
		}
		isFree := func(id marks.ID) bool {
			for _, family := range Families {
				of := pathMark{family, s.Mask.Mark(id), s.Mask}
				if end, known := ends[of]; lookedUp[of] && !(known && slices.Contains(own, end)) {
					return false
				}
			}
			return !taken[id] && before[s.TableBase+Table(id)].canBe(own)
		}
		id := marks.ID(1)
		for ; !isFree(id); id++ {
			if id == last {
				return s, false
			}
		}
		u.ID = id
		taken[id] = true
	}
	slices.SortFunc(s.Uplinks, func(a, b Uplink) int { return cmp.Compare(a.ID, b.ID) })
	return s, true
}

// takenIDs returns the ids that uplinks have, also without a rule or a route, found routers, and buckets of senders, also those of before.
func (s Settings) takenIDs(f Facts, want, have State) map[marks.ID]bool {
	taken := map[marks.ID]bool{}
	for _, u := range s.Uplinks {
		taken[u.ID] = true
	}
	for _, r := range f.FoundRouters {
		taken[r.ID] = true
	}
	for _, state := range []State{want, have} {
		for r := range state.Rules {
			if r.Mask == s.Mask && r.Mark != 0 && r.isOutbound() {
				taken[s.Mask.ID(r.Mark)] = true
			}
		}
	}
	return taken
}

// tableOwner is what the routes of a table say about the uplink that it belongs to.
type tableOwner struct {
	ends  map[uplinkEnd]bool
	links map[string]bool // of routes other than default routes
}

// tableOwners returns the owners of all tables.
func (s State) tableOwners() map[Table]tableOwner {
	all := map[Table]tableOwner{}
	for k, r := range s.Routes {
		o, exists := all[k.Table]
		if !exists {
			o = tableOwner{map[uplinkEnd]bool{}, map[string]bool{}}
			all[k.Table] = o
		}
		if k.Dst == k.Family.DefaultPrefix() && r.Link != "" {
			o.ends[uplinkEnd{k.Family, r.Link, r.Gateway}] = true
		}
		o.links[r.Link] = true
	}
	return all
}

// canBe reports whether the table has no routes, or those of an uplink that leads to these ends: an interrupted change has begun to use it.
func (o tableOwner) canBe(ends []uplinkEnd) bool {
	for end := range o.ends {
		if !slices.ContainsFunc(ends, func(e uplinkEnd) bool { return e == end || e.family != end.family && e.link == end.link }) {
			return false
		}
	}
	for link := range o.links {
		if link != "" && !slices.ContainsFunc(ends, func(e uplinkEnd) bool { return e.link == link }) {
			return false
		}
	}
	return true
}
