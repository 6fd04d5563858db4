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

// flow is what rules select by.
type flow struct {
	from netip.Addr // invalid: not known yet
	to   netip.Addr
	in   string // lo for the host's own
	mark marks.Mark
}

// matches reports whether the rule selects the packet. Of selectors that are not read, such as ports, nothing is known:
// then the rule may select it.
func matches(r uplinks.Rule, p flow) (matched, known bool) {
	match := (!r.From.IsValid() || p.from.IsValid() && r.From.Contains(p.from)) &&
		(r.IIF == "" || r.IIF == p.in) &&
		(r.Mask == 0 || p.mark&marks.Mark(r.Mask) == r.Mark)
	return match != r.Not, r.Other == "" || !match
}

// The actions of rules that refuse a packet (linux/fib_rules.h).
const (
	blackhole   uplinks.Action = 6
	unreachable uplinks.Action = 7
	prohibit    uplinks.Action = 8
)

// decidingRule is the rule that made the decision before the rule for the path was asked. Of those that lead to the table the
// kernel asks the first; one whose selectors are not all known is blamed only when no other explains the decision.
func (g Snapshot) decidingRule(p flow, f uplinks.Family, d uplinks.RouteDecision, isOurs func(uplinks.Rule) bool) (uplinks.Rule, bool) {
	var candidate uplinks.Rule
	found := false
	rules := g.rulesInOrder(f)
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
		case g.decides(r, p, d) && known:
			return r, true
		case g.decides(r, p, d) && !found:
			candidate, found = r, true
		}
	}
	return uplinks.Rule{}, false
}

// decides reports whether the decision can be the rule's.
func (g Snapshot) decides(r uplinks.Rule, p flow, d uplinks.RouteDecision) bool {
	switch {
	case r.Action == blackhole, r.Action == unreachable, r.Action == prohibit:
		return d.Err != nil
	case r.Action != uplinks.Lookup, r.Table == uplinks.LocalTable:
		return false
	case r.SuppressLength != uplinks.NoSuppress:
		return d.Err == nil && r.Table == d.Table && g.hasSpecificRoute(p.to, d.Link)
	}
	return d.Err != nil || r.Table == d.Table
}

// hasSpecificRoute reports whether more than a route for everybody of main's leads to the address by the link, which is no uplink.
func (g Snapshot) hasSpecificRoute(to netip.Addr, link int) bool {
	contains := func(p netip.Prefix) bool { return !uplinks.IsDefaultRoute(p) && p.Contains(to) }
	name := g.linkName(link)
	for _, r := range g.Facts.GatewayRoutes {
		if r.Link == name && contains(r.Dst) {
			return true
		}
	}
	return slices.ContainsFunc(g.Facts.Links[name].Connected, contains)
}

// wrongRoute says why a packet with the path's mark does not go by the path.
func (g Snapshot) wrongRoute(p health.Path, packet flow, d uplinks.RouteDecision, ourRule uplinks.Rule) health.ProofCheck {
	if !g.Rules[ourRule] {
		return health.ProofCheck{Result: health.No, Cause: health.RuleMissing,
			Detail: fmt.Sprintf("the rule %q is missing: %s", strings.TrimPrefix(ourRule.Spec(), "priority 0 "), g.describe(d)),
			Remedy: repair}
	}
	if d.Err != nil && !g.hasDefaultRoute(p) {
		return g.routeMissing(p, d)
	}
	isOurs := func(r uplinks.Rule) bool { return r == ourRule }
	if r, found := g.decidingRule(packet, p.Family, d, isOurs); found {
		return g.ruleShadowed(p, r, d)
	}
	return g.routeMissing(p, d)
}

func (g Snapshot) ruleShadowed(p health.Path, r uplinks.Rule, d uplinks.RouteDecision) health.ProofCheck {
	if g.Rules[r] {
		return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed,
			Detail: fmt.Sprintf("main has a route of its own to whoever asks, by a link that is no uplink: %s", g.describe(d)),
			Remedy: "make that link an uplink, or let whoever adds the route (often a VPN) use a default route in another table"}
	}
	return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed,
		Detail: fmt.Sprintf("a rule of another program is asked before ours: %s, %s: %s", r.Spec(), ruleOwner(g.Facts.RuleProtocols[r]), g.describe(d)),
		Remedy: "give that rule a priority behind ours, or move ours before it with priority = ..."}
}

func (g Snapshot) routeMissing(p health.Path, d uplinks.RouteDecision) health.ProofCheck {
	c := health.ProofCheck{Result: health.No, Cause: health.RouteMissing, Remedy: repair,
		Detail: fmt.Sprintf("table %s has no way out by %s: %s", p.Table, p.Link, g.describe(d))}
	if !p.Gateway.IsValid() && !p.OnLink {
		c.Detail = fmt.Sprintf("no %s gateway of %s is known: %s", p.Family, p.Link, g.describe(d))
		c.Remedy = "write the gateway's address in the configuration"
	}
	return c
}

// repair is what to do where something of ours is not there.
const repair = "see what is missing with replypath plan, and put it back with replypath apply"

// describe says what becomes of a packet.
func (g Snapshot) describe(d uplinks.RouteDecision) string {
	switch {
	case d.Err != nil:
		return fmt.Sprintf("the kernel refuses it (%v)", d.Err)
	case d.Local:
		return "it stays on this host"
	case d.Gateway.IsValid():
		return fmt.Sprintf("it goes by %s via %s (table %s)", g.linkName(d.Link), d.Gateway, d.Table)
	}
	return fmt.Sprintf("it goes by %s (table %s)", g.linkName(d.Link), d.Table)
}

// protocolOwners are the well-known protocol numbers of rules (linux/rtnetlink.h, rt_protos).
var protocolOwners = map[uint8]string{0: "added by hand or by a script", 2: "the kernel's own", 3: "added by hand or by a script", 4: "added by an administrator",
	11: "zebra's", 12: "bird's", 16: "a DHCP client's", 18: "keepalived's", 99: "openr's", 186: "BGP's", 188: "OSPF's"}

func ruleOwner(protocol uint8) string {
	if name, known := protocolOwners[protocol]; known {
		return fmt.Sprintf("%s (protocol %d)", name, protocol)
	}
	return fmt.Sprintf("protocol %d", protocol)
}
