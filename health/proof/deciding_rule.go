package proof

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/health"
	"replypath/marks"
	"replypath/uplinks"
)

// flow is the part of a packet that the rules select by.
type flow struct {
	from netip.Addr // invalid: not chosen yet
	to   netip.Addr
	in   string // the ingress interface; lo for packets of the host
	mark marks.Mark
}

// matches reports whether the rule selects the packet, and whether that is known: a selector that is not decoded, such as a
// port, may exclude it.
func matches(r uplinks.Rule, p flow) (matched, known bool) {
	match := (!r.From.IsValid() || p.from.IsValid() && r.From.Contains(p.from)) &&
		(r.IIF == "" || r.IIF == p.in) &&
		(r.Mask == 0 || p.mark&marks.Mark(r.Mask) == r.Mark)
	return match != r.Not, r.Other == "" || !match
}

// The actions of rules that reject a packet (linux/fib_rules.h).
const (
	blackhole   uplinks.Action = 6
	unreachable uplinks.Action = 7
	prohibit    uplinks.Action = 8
)

// decidingRule returns the rule before the path's own that made the decision: the first one that selects the packet and leads
// to the decision's table. A rule with selectors that are not decoded is returned only when no other rule explains the
// decision.
func (s Snapshot) decidingRule(p flow, f uplinks.Family, d uplinks.RouteDecision, isOurs func(uplinks.Rule) bool) (uplinks.Rule, bool) {
	var candidate uplinks.Rule
	found := false
	rules := s.rulesInOrder(f)
	for i := 0; i < len(rules); i++ {
		r := rules[i]
		matched, known := matches(r, p)
		switch {
		case !matched:
		case isOurs(r):
			return candidate, found
		case r.Action == uplinks.Goto:
			for i+1 < len(rules) && rules[i+1].Priority < r.Goto {
				i++
			}
		case s.decides(r, p, d) && known:
			return r, true
		case s.decides(r, p, d) && !found:
			candidate, found = r, true
		}
	}
	return uplinks.Rule{}, false
}

// decides reports whether the rule can lead to the decision.
func (s Snapshot) decides(r uplinks.Rule, p flow, d uplinks.RouteDecision) bool {
	switch {
	case r.Action == blackhole, r.Action == unreachable, r.Action == prohibit:
		return d.Err != nil
	case r.Action != uplinks.Lookup, r.Table == uplinks.LocalTable:
		return false
	case r.SuppressLength != uplinks.NoSuppress:
		return d.Err == nil && r.Table == d.Table && s.hasSpecificRoute(p.to, d.Link)
	}
	return d.Err != nil || r.Table == d.Table
}

// hasSpecificRoute reports whether table main has a route to the address through the interface that is not a default route.
func (s Snapshot) hasSpecificRoute(to netip.Addr, link int) bool {
	contains := func(p netip.Prefix) bool { return !uplinks.IsDefaultRoute(p) && p.Contains(to) }
	name := s.linkName(link)
	for _, r := range s.Facts.GatewayRoutes {
		if r.Link == name && contains(r.Dst) {
			return true
		}
	}
	return slices.ContainsFunc(s.Facts.Links[name].Connected, func(c uplinks.Connected) bool { return contains(c.Dst) })
}

// wrongRoute returns why a packet that ourRule should route through the path is not.
func (s Snapshot) wrongRoute(p health.Path, packet flow, d uplinks.RouteDecision, ourRule uplinks.Rule) health.ProofCheck {
	if !s.Rules[ourRule] {
		return health.ProofCheck{Result: health.No, Cause: health.RuleMissing,
			Detail: fmt.Sprintf("the rule %q is missing: %s", strings.TrimPrefix(ourRule.Spec(), "priority 0 "), s.describe(d)),
			Remedy: repair}
	}
	if d.Err != nil && !s.hasDefaultRoute(p) {
		return s.routeMissing(p, d)
	}
	isOurs := func(r uplinks.Rule) bool { return r == ourRule }
	if r, found := s.decidingRule(packet, p.Family, d, isOurs); found {
		return s.ruleShadowed(r, d)
	}
	return s.routeMissing(p, d)
}

func (s Snapshot) ruleShadowed(r uplinks.Rule, d uplinks.RouteDecision) health.ProofCheck {
	if s.Rules[r] {
		return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed,
			Detail: fmt.Sprintf("table main has a specific route to the peer through an interface that is not an uplink: %s", s.describe(d)),
			Remedy: "make that interface an uplink, or let the program that adds the route (often a VPN) use a default route in another table"}
	}
	return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed,
		Detail: fmt.Sprintf("a foreign rule precedes replypath's: %s, %s: %s", r.Spec(), s.ruleOwner(r), s.describe(d)),
		Remedy: "give that rule a priority after replypath's, or move replypath's rules before it with priority = ..."}
}

func (s Snapshot) routeMissing(p health.Path, d uplinks.RouteDecision) health.ProofCheck {
	c := health.ProofCheck{Result: health.No, Cause: health.RouteMissing, Remedy: repair,
		Detail: fmt.Sprintf("table %s has no default route by %s: %s", p.Table, p.Link, s.describe(d))}
	if !p.Gateway.IsValid() && !p.OnLink {
		c.Detail = fmt.Sprintf("no %s gateway of %s is known: %s", p.Family, p.Link, s.describe(d))
		c.Remedy = "set the gateway's address in the configuration"
	}
	return c
}

// repair is the remedy for a rule, route or mark of replypath that is missing.
const repair = "replypath plan shows what is missing, replypath apply restores it"

// describe returns where the decision sends the packet.
func (s Snapshot) describe(d uplinks.RouteDecision) string {
	switch {
	case d.Err != nil:
		return fmt.Sprintf("the kernel rejects the packet (%v)", d.Err)
	case d.Local:
		return "the packet is delivered to this host"
	case d.Gateway.IsValid():
		return fmt.Sprintf("the packet leaves by %s via %s (table %s)", s.linkName(d.Link), d.Gateway, d.Table)
	}
	return fmt.Sprintf("the packet leaves by %s (table %s)", s.linkName(d.Link), d.Table)
}
