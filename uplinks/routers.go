package uplinks

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks"
)

// Several uplinks can be on one link. Their packets are distinguished by the hardware addresses of their routers, which
// Facts.RouterMACs has. All else is as for uplinks by links of their own: table, mark, rules.

// RouterAddrs are the addresses of the routers of an uplink that shares its link.
type RouterAddrs struct {
	Uplink string
	Link   string
	Addrs  []netip.Addr
}

// SharesLink reports whether another uplink is on the uplink's link, or routers that are found.
func (s Settings) SharesLink(u Uplink) bool {
	return u.AnyRouter || slices.ContainsFunc(s.Uplinks, func(o Uplink) bool { return o.Link == u.Link && o.Name != u.Name })
}

// HasSharedLinks reports whether several uplinks are on one link, or routers are found on one.
func (s Settings) HasSharedLinks() bool {
	seen := make(map[string]bool, len(s.Uplinks))
	for _, u := range s.Uplinks {
		if u.AnyRouter || seen[u.Link] {
			return true
		}
		seen[u.Link] = true
	}
	return false
}

// SharedRouters returns the routers of the uplinks that share their links, nil if there are none: their gateways, as far as
// they are known, and what the configuration names beside them.
func (s Settings) SharedRouters(f Facts) (all []RouterAddrs) {
	if !s.HasSharedLinks() {
		return nil
	}
	for _, u := range s.Uplinks {
		l, exists := f.LinkOf(u)
		if !s.SharesLink(u) || !exists {
			continue
		}
		r := RouterAddrs{Uplink: u.Name, Link: u.Link}
		for _, family := range f.Families() {
			if hop, known := l.NextHop(u.Gateway(family), family); known && u.Manages(family) && hop.Gateway.IsValid() {
				r.Addrs = append(r.Addrs, hop.Gateway)
			}
		}
		for _, a := range u.Routers {
			if !slices.Contains(r.Addrs, a) {
				r.Addrs = append(r.Addrs, a)
			}
		}
		all = append(all, r)
	}
	return all
}

// RoutersOf returns the hardware addresses by which each uplink that shares its link is recognised, sorted, by the uplink's
// name. An address that the configuration names is that uplink's alone.
func (s Settings) RoutersOf(f Facts) map[string][]string {
	if !s.HasSharedLinks() {
		return nil
	}
	type owned struct{ link, mac string }
	named := map[owned]bool{}
	for _, u := range s.Uplinks {
		for _, mac := range u.MACs {
			named[owned{u.Link, mac}] = true
		}
	}
	routers := map[string][]string{}
	for _, u := range s.Uplinks {
		if !s.SharesLink(u) {
			continue
		}
		all := slices.Clone(u.MACs)
		for _, mac := range f.RouterMACs[u.Name] {
			if !named[owned{u.Link, mac}] {
				all = append(all, mac)
			}
		}
		slices.Sort(all)
		routers[u.Name] = slices.Compact(all)
	}
	return routers
}

// RouterPlan returns the steps that follow from other routers alone, which now has and before has not. It has no step if a router that
// was found is none any more: its connections need another mark first. Nor does it if the firewall was not asked for what many routers
// need.
func RouterPlan(s Settings, before, now Facts) Plan {
	s = s.ResolveLinks(before)
	found := s.WithFoundRouters(now).Uplinks
	for _, u := range s.WithFoundRouters(before).Uplinks {
		if !slices.ContainsFunc(found, func(o Uplink) bool { return o.Name == u.Name && o.ID == u.ID }) {
			return nil
		}
	}
	if len(now.FoundRouters) > marks.MaxLinear && now.MACBits == nil {
		return nil
	}
	was, want := NewState(), NewState()
	for state, f := range map[*State]Facts{&was: before, &want: now} {
		applied := s.applied(f)
		addRouterCounters(*state, s, f)
		addReplies(*state, applied, f, nil)
		addRouterClassifiers(*state, applied, f)
	}
	plan := Diff(want, was)
	for _, step := range plan {
		if load, is := step.(LoadChains); is {
			for i, c := range load.Change.Chains {
				load.Change.Chains[i].Added = marks.AddedRule(was.Chains[ChainKey{load.Firewall, c.Name}].Rules, c.Rules)
			}
		}
	}
	return plan
}

// WithFirst returns the plan with the chains of the family before those of the other one. Nothing of one depends on the other.
func (p Plan) WithFirst(f Family) Plan {
	p = slices.Clone(p)
	for i := 1; i < len(p); i++ {
		load, is := p[i].(LoadChains)
		if other, both := p[i-1].(LoadChains); is && both && load.Firewall.Family == f && other.Firewall.Family != f {
			p[i-1], p[i] = load, other
		}
	}
	return p
}

// inseparable returns why the uplink cannot be distinguished from the others on its link, "" if it can.
func (f Facts) inseparable(s Settings, u Uplink) string {
	l, exists := f.LinkOf(u)
	if !exists || l.MAC != "" && !l.PointToPoint {
		return ""
	}
	first := slices.IndexFunc(s.Uplinks, func(o Uplink) bool { return o.Link == u.Link })
	if first < 0 || s.Uplinks[first].Name == u.Name {
		return ""
	}
	return fmt.Sprintf("%s has no hardware addresses, by which its router could be distinguished from that of %s", u.Link, s.Uplinks[first].Name)
}
