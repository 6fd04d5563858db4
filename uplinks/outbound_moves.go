package uplinks

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Move is the end of an uplink's connections that began inside, in one family, because they must take another one.
type Move struct {
	Path   PathKey
	Link   string // of the uplink
	Why    string // for people
	Mark   marks.Mark
	Mask   marks.Mask
	Family Family
	Own    []netip.Addr // the host's addresses
	// Sources are those of the uplink's link: the host's own connections by the uplink have one of them.
	Sources []netip.Addr
	Fixed   []netip.Prefix // sources that only one provider takes: connections from them without address translation stay
	AtInit  bool           // found at the first observation: there may be no connections, and nothing has happened
	Lost    []netip.Addr   // addresses that the uplink has no longer: what leaves with one cannot go on
	// LostOnly says that the uplink works, and only those connections are ended that HasLost.
	LostOnly bool
	Removed  bool // the uplink is no longer configured, or not with this mark
}

// OutboundTracker finds out which connections must be moved, from one observation to the next. Not safe for concurrent use.
type OutboundTracker struct {
	settings Settings // of the last observation
	choices  map[choiceKey]Choice
	dead     map[PathKey]bool
	stuck    map[PathKey]bool // failed while no other uplink was usable
	carried  map[PathKey]bool // could have got connections since they were moved
	addrs    map[PathKey]pathAddresses
}

type choiceKey struct {
	policy string
	family Family
}

// Update returns the connections to be moved once the rules and routes for the facts and verdicts are in force. Those of an uplink
// that failed are moved when a policy with it has another usable uplink, at once or later; those of worse tiers when a policy
// moves back; those with an address that their uplink has no longer once it has another one; those of an uplink that is configured no
// longer. Connections have the mark of their uplink and not of their policy: they are moved together.
func (t *OutboundTracker) Update(s Settings, f Facts, v Verdicts) (moves []Move) {
	moves = t.RemovedMoves(s, f)
	if !s.Outbound.Enabled() {
		*t = OutboundTracker{}
		return moves
	}
	choices, dead := map[choiceKey]Choice{}, map[PathKey]bool{}
	if t.stuck == nil {
		t.stuck, t.carried, t.addrs = map[PathKey]bool{}, map[PathKey]bool{}, map[PathKey]pathAddresses{}
	}
	for _, family := range f.Families() {
		for _, p := range s.Outbound.Policies {
			choices[choiceKey{p.Name, family}] = s.Choose(p, f, v, family)
		}
		for _, u := range s.Uplinks {
			path := PathKey{u.Name, family}
			if m, has := t.observeAddresses(s, u, f, family); has {
				moves = append(moves, m)
			}
			if s.usable(u.Name, f, v, family) || s.isUsed(u.Name, choices, family) {
				t.carried[path] = true
			}
			if dead[path] = u.Manages(family) && !s.alive(u, f, v, family); !dead[path] {
				delete(t.stuck, path)
			} else if !t.dead[path] {
				t.stuck[path] = t.carried[path] || t.dead == nil
			}
			if t.stuck[path] && s.movesTo(u.Name, choices, family) {
				delete(t.stuck, path)
				delete(t.carried, path)
				m := s.move(u, f, family, s.deadReason(u.Name, f, v, family))
				m.AtInit, m.Lost = t.dead == nil, t.addrs[path].lost
				moves = append(moves, m)
			}
		}
		moves = append(moves, t.movesBack(s, f, choices, family)...)
	}
	t.settings, t.choices, t.dead = s, choices, dead
	return moves
}

// Used returns the paths that a policy uses since the last update.
func (t *OutboundTracker) Used() map[PathKey]bool {
	used := map[PathKey]bool{}
	for key, choice := range t.choices {
		for _, m := range choice.Members {
			used[PathKey{m.Uplink, key.family}] = true
		}
	}
	return used
}

// deadReason says why a path is not alive.
func (s Settings) deadReason(uplink string, f Facts, v Verdicts, family Family) string {
	f.Drained = nil
	switch {
	case s.memberState(uplink, f, v, family) == MemberDown:
		return "it is down"
	case v[PathKey{uplink, family}] == VerdictAbsent:
		return "it is absent"
	}
	return "it is without a link, an address or a gateway"
}

// movesTo reports whether a policy that moves connections of the uplink when it fails uses another one.
func (s Settings) movesTo(uplink string, choices map[choiceKey]Choice, family Family) bool {
	return slices.ContainsFunc(s.Outbound.Policies, func(p Policy) bool {
		return p.MoveFailed && p.tierOf(uplink) >= 0 && choices[choiceKey{p.Name, family}].Tier >= 0
	})
}

// isUsed reports whether any policy uses the uplink.
func (s Settings) isUsed(uplink string, choices map[choiceKey]Choice, family Family) bool {
	return slices.ContainsFunc(s.Outbound.Policies, func(p Policy) bool { return choices[choiceKey{p.Name, family}].Uses(uplink) })
}

// movesBack returns the connections of the tiers behind the one that a policy uses since now, except those of uplinks that another
// policy uses.
func (t *OutboundTracker) movesBack(s Settings, f Facts, choices map[choiceKey]Choice, family Family) (moves []Move) {
	for _, p := range s.Outbound.Policies {
		before, known := t.choices[choiceKey{p.Name, family}]
		now := choices[choiceKey{p.Name, family}]
		if !known || !p.MoveBack || now.Tier < 0 || before.Tier <= now.Tier {
			continue
		}
		for _, tier := range p.Tiers[now.Tier+1:] {
			for _, m := range tier {
				if i := slices.IndexFunc(s.Uplinks, func(u Uplink) bool { return u.Name == m.Uplink }); i >= 0 && !s.isUsed(m.Uplink, choices, family) {
					moves = append(moves, s.move(s.Uplinks[i], f, family, "a better tier of "+p.Name+" is usable again"))
				}
			}
		}
	}
	return moves
}

// tierOf returns the index of the tier with the uplink, -1 if there is none.
func (p Policy) tierOf(uplink string) int {
	return slices.IndexFunc(p.Tiers, func(tier []Member) bool {
		return slices.ContainsFunc(tier, func(m Member) bool { return m.Uplink == uplink })
	})
}

// alive reports whether the uplink works in the family, whether or not it is held down, or the operator has taken it out of outbound.
func (s Settings) alive(u Uplink, f Facts, v Verdicts, family Family) bool {
	f.Drained = nil
	return s.usable(u.Name, f, v, family) || s.memberState(u.Name, f, v, family) == MemberHeld
}

// CheckDrain returns an error unless the uplink can be taken out of outbound.
func (s Settings) CheckDrain(uplink string) error {
	if !s.Outbound.Enabled() {
		return errors.New("outbound connections are left to main: add a table [outbound] to the configuration")
	}
	if !slices.ContainsFunc(s.Uplinks, func(u Uplink) bool { return u.Name == uplink }) {
		return fmt.Errorf("uplink %q is not configured: use one of %s", uplink, s.UplinkNames())
	}
	return nil
}

// Drain returns the connections of an uplink that the operator has taken out of outbound and wants to move.
func (s Settings) Drain(uplink string, f Facts) (moves []Move) {
	for _, u := range s.Uplinks {
		for _, family := range f.Families() {
			if u.Name == uplink && u.Manages(family) {
				moves = append(moves, s.move(u, f, family, "it is drained"))
			}
		}
	}
	return moves
}

// move returns the move of an uplink's connections.
func (s Settings) move(u Uplink, f Facts, family Family, why string) Move {
	m := Move{Path: PathKey{u.Name, family}, Link: u.Link, Why: why, Family: family, Mark: s.outboundMark(u), Mask: s.Mask | s.OutboundFlag(), Sources: globalAddrs(u, f, family)}
	for _, l := range f.Links {
		for _, a := range l.Addrs {
			if FamilyOf(a.Prefix.Addr()) == family {
				m.Own = append(m.Own, a.Prefix.Addr())
			}
		}
	}
	o := outbound{Settings: s, facts: f, family: family}
	for _, other := range s.Uplinks {
		m.Fixed = append(m.Fixed, o.ownNetworks(other)...)
	}
	return m
}
