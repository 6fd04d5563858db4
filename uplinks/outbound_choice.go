package uplinks

import "slices"

// Choice is what a policy uses in one family.
type Choice struct {
	Tier    int      // from 0; -1: no uplink is usable
	Members []Member // of the tier, those that are usable
}

// Uses reports whether the policy uses the uplink.
func (c Choice) Uses(uplink string) bool {
	return slices.ContainsFunc(c.Members, func(m Member) bool { return m.Uplink == uplink })
}

// Choose returns what a policy uses: the usable members of the first tier that has any. A policy that avoids degraded uplinks
// uses them only when there is no other. Where no uplink is usable it uses those that answer, and are held down for their flaps:
// better an uplink that may fail again than none.
func (s Settings) Choose(p Policy, f Facts, v Verdicts, family Family) Choice {
	if p.AvoidDegraded {
		if c := s.chooseAmong(p, f, family, func(m Member) bool { return s.memberState(m.Uplink, f, v, family) == MemberUsable }); c.Tier >= 0 {
			return c
		}
	}
	if c := s.chooseAmong(p, f, family, func(m Member) bool { return s.usable(m.Uplink, f, v, family) }); c.Tier >= 0 {
		return c
	}
	return s.chooseAmong(p, f, family, func(m Member) bool { return s.memberState(m.Uplink, f, v, family) == MemberHeld })
}

// chooseAmong returns the members of the first tier that has any which fit.
func (s Settings) chooseAmong(p Policy, f Facts, family Family, fits func(Member) bool) Choice {
	for tier, members := range p.Tiers {
		usable := slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return !fits(m) })
		if usable = withoutUnroutable(usable, s, f, family); len(usable) > 0 {
			return Choice{tier, usable}
		}
	}
	return Choice{Tier: -1}
}

// MemberState says whether outbound connections can take an uplink, in one family.
type MemberState string

// The states of members. The words are those of the status document (etc/status.md).
const (
	MemberUsable   MemberState = "usable"
	MemberDegraded MemberState = "degraded" // usable, but loss or latency is beyond its thresholds
	MemberHeld     MemberState = "held"     // it answers, and is held down for its flaps: for policies without a usable uplink
	MemberDrained  MemberState = "drained"  // taken out of outbound by the operator
	MemberDown     MemberState = "down"
	MemberAbsent   MemberState = "absent" // no link, address or gateway
)

// usable reports whether outbound connections can take the uplink in the family.
func (s Settings) usable(name string, f Facts, v Verdicts, family Family) bool {
	state := s.memberState(name, f, v, family)
	return state == MemberUsable || state == MemberDegraded
}

// memberState returns the state of an uplink in the family.
func (s Settings) memberState(name string, f Facts, v Verdicts, family Family) MemberState {
	i := slices.IndexFunc(s.Uplinks, func(u Uplink) bool { return u.Name == name })
	verdict := v[PathKey{name, family}]
	switch {
	case i < 0:
		return MemberAbsent
	case f.Drained[name]:
		return MemberDrained
	case verdict == VerdictDown:
		return MemberDown
	case verdict == VerdictAbsent:
		return MemberAbsent
	}
	if _, ok := s.hopOf(s.Uplinks[i], f, family); ok {
		switch verdict {
		case VerdictDegraded:
			return MemberDegraded
		case VerdictHeld:
			return MemberHeld
		}
		return MemberUsable
	}
	if l, exists := f.LinkOf(s.Uplinks[i]); exists && (!l.Up || !l.Carrier) {
		return MemberDown
	}
	return MemberAbsent
}

// hopOf returns the next hop of the uplink's default route, and false if no packet can leave by it.
func (s Settings) hopOf(u Uplink, f Facts, family Family) (NextHop, bool) {
	l, exists := f.LinkOf(u)
	if !exists || !u.Manages(family) || !l.Up || !l.Carrier || family == IPv6 && l.NoIPv6 || family == IPv4 && !l.SourceAddr(family).IsValid() {
		return NextHop{}, false
	}
	if family == IPv6 && !l.SourceAddr(family).IsValid() && s.confinesSource(u, f) {
		return NextHop{}, false
	}
	return l.NextHop(u.Gateway(family), family)
}

// OutboundChanges reports whether the links of the scopes have other addresses, or next hops of the uplinks: what outbound
// connections take depends on all uplinks together.
func (s Settings) OutboundChanges(before, after Facts, scopes []Scope) bool {
	if !s.Outbound.Enabled() {
		return false
	}
	if s.Outbound.hasAuto() && slices.ContainsFunc(scopes, func(scope Scope) bool {
		return !slices.Equal(before.Links[scope.Link].Connected, after.Links[scope.Link].Connected)
	}) {
		return true
	}
	for _, u := range s.Within(scopes).Uplinks {
		if !slices.Equal(before.Links[u.Link].Addrs, after.Links[u.Link].Addrs) {
			return true
		}
		for _, family := range after.Families() {
			was, wasUsable := s.hopOf(u, before, family)
			if now, usable := s.hopOf(u, after, family); now != was || usable != wasUsable {
				return true
			}
		}
	}
	return false
}

// withoutUnroutable drops next hops that the kernel does not put beside others: IPv6 takes only gateways into a route with several
// next hops. It keeps the one with the greatest weight if none has a gateway.
func withoutUnroutable(members []Member, s Settings, f Facts, family Family) []Member {
	if family != IPv6 || len(members) < 2 {
		return members
	}
	gateways := slices.DeleteFunc(slices.Clone(members), func(m Member) bool {
		i := slices.IndexFunc(s.Uplinks, func(u Uplink) bool { return u.Name == m.Uplink })
		hop, _ := s.hopOf(s.Uplinks[i], f, family)
		return !hop.Gateway.IsValid()
	})
	if len(gateways) > 0 {
		return gateways
	}
	best := members[0]
	for _, m := range members {
		if m.Weight > best.Weight {
			best = m
		}
	}
	return []Member{best}
}
