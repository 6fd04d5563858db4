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

// packet is what rules select by.
type packet struct {
	from netip.Addr // invalid: not known yet
	to   netip.Addr
	in   string // lo for the host's own
	mark marks.Mark
}

// selects reports whether the rule selects the packet. Of selectors that are not read, such as ports, nothing is known:
// then the rule may select it.
func selects(r uplinks.Rule, p packet) (selected, known bool) {
	matches := (!r.From.IsValid() || p.from.IsValid() && r.From.Contains(p.from)) &&
		(r.In == "" || r.In == p.in) &&
		(r.Mask == 0 || p.mark&marks.Mark(r.Mask) == r.Mark)
	return matches != r.Not, r.Other == "" || !matches
}

// The actions of rules that refuse a packet (linux/fib_rules.h).
const (
	blackhole   uplinks.Action = 6
	unreachable uplinks.Action = 7
	prohibit    uplinks.Action = 8
)

// winner is the rule that made the decision before the rule for the path was asked. Of those that lead to the table the
// kernel asks the first; one whose selectors are not all known is blamed only when no other explains the decision.
func (g Ground) winner(p packet, f uplinks.Family, d uplinks.Decision, ours func(uplinks.Rule) bool) (uplinks.Rule, bool) {
	var maybe uplinks.Rule
	found := false
	rules := g.walkRules(f)
	for i := 0; i < len(rules); i++ {
		r := rules[i]
		selected, known := selects(r, p)
		switch {
		case !selected:
		case ours(r):
			return maybe, found
		case r.Action == uplinks.Goto:
			for i+1 < len(rules) && rules[i+1].Priority < r.Goto {
				i++
			}
		case g.decides(r, p, d) && known:
			return r, true
		case g.decides(r, p, d) && !found:
			maybe, found = r, true
		}
	}
	return uplinks.Rule{}, false
}

// decides reports whether the decision can be the rule's.
func (g Ground) decides(r uplinks.Rule, p packet, d uplinks.Decision) bool {
	switch {
	case r.Action == blackhole, r.Action == unreachable, r.Action == prohibit:
		return d.Err != nil
	case r.Action != uplinks.Lookup, r.Table == uplinks.LocalTable:
		return false
	case r.SuppressLength != uplinks.NoSuppress:
		return d.Err == nil && r.Table == d.Table && g.specific(p.to, d.Link)
	}
	return d.Err != nil || r.Table == d.Table
}

// specific reports whether more than a route for everybody of main's leads to the address by the link, which is no uplink.
func (g Ground) specific(to netip.Addr, link int) bool {
	holds := func(p netip.Prefix) bool { return !uplinks.ForEverybody(p) && p.Contains(to) }
	name := g.link(link)
	for _, r := range g.Facts.Routed {
		if r.Link == name && holds(r.Dst) {
			return true
		}
	}
	return slices.ContainsFunc(g.Facts.Links[name].Connected, holds)
}

// misled says why a packet with the path's mark does not go by the path.
func (g Ground) misled(p health.Path, packet packet, d uplinks.Decision, mine uplinks.Rule) health.Check {
	if !g.Rules[mine] {
		return health.Check{Result: health.No, Cause: health.RuleMissing,
			Why:    fmt.Sprintf("the rule %q is missing: %s", strings.TrimPrefix(mine.Selects(), "priority 0 "), g.goes(d)),
			Remedy: repair}
	}
	if d.Err != nil && !g.leads(p) {
		return g.routeless(p, d)
	}
	ours := func(r uplinks.Rule) bool { return r == mine }
	if r, found := g.winner(packet, p.Family, d, ours); found {
		return g.shadowed(p, r, d)
	}
	return g.routeless(p, d)
}

func (g Ground) shadowed(p health.Path, r uplinks.Rule, d uplinks.Decision) health.Check {
	if g.Rules[r] {
		return health.Check{Result: health.No, Cause: health.RuleShadowed,
			Why:    fmt.Sprintf("main has a route of its own to whoever asks, by a link that is no uplink: %s", g.goes(d)),
			Remedy: "make that link an uplink, or let whoever adds the route (often a VPN) use a default route in another table"}
	}
	return health.Check{Result: health.No, Cause: health.RuleShadowed,
		Why:    fmt.Sprintf("a rule of another program is asked before ours: %s, %s: %s", r.Selects(), maker(g.Facts.Makers[r]), g.goes(d)),
		Remedy: "give that rule a priority behind ours, or move ours before it with priority = ..."}
}

func (g Ground) routeless(p health.Path, d uplinks.Decision) health.Check {
	c := health.Check{Result: health.No, Cause: health.RouteMissing, Remedy: repair,
		Why: fmt.Sprintf("table %s has no way out by %s: %s", p.Table, p.Link, g.goes(d))}
	if !p.Gateway.IsValid() && !p.Direct {
		c.Why = fmt.Sprintf("no %s gateway of %s is known: %s", p.Family, p.Link, g.goes(d))
		c.Remedy = "write the gateway's address in the configuration"
	}
	return c
}

// repair is what to do where something of ours is not there.
const repair = "see what is missing with replypath plan, and put it back with replypath apply"

// goes says what becomes of a packet.
func (g Ground) goes(d uplinks.Decision) string {
	switch {
	case d.Err != nil:
		return fmt.Sprintf("the kernel refuses it (%v)", d.Err)
	case d.Local:
		return "it stays on this host"
	case d.Gateway.IsValid():
		return fmt.Sprintf("it goes by %s via %s (table %s)", g.link(d.Link), d.Gateway, d.Table)
	}
	return fmt.Sprintf("it goes by %s (table %s)", g.link(d.Link), d.Table)
}

// makers are the well-known protocol numbers of rules (linux/rtnetlink.h, rt_protos).
var makers = map[uint8]string{0: "added by hand or by a script", 2: "the kernel's own", 3: "added by hand or by a script", 4: "added by an administrator",
	11: "zebra's", 12: "bird's", 16: "a DHCP client's", 18: "keepalived's", 99: "openr's", 186: "BGP's", 188: "OSPF's"}

func maker(protocol uint8) string {
	if name, known := makers[protocol]; known {
		return fmt.Sprintf("%s (protocol %d)", name, protocol)
	}
	return fmt.Sprintf("protocol %d", protocol)
}
