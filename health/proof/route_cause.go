package proof

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// wrongRoute returns why the kernel does not route the packet through the path: the rule or route that decides for it, as the
// simulation of the routing policy database finds it.
func (s Snapshot) wrongRoute(p health.Path, packet rpdb.Packet, d uplinks.RouteDecision) health.ProofCheck {
	db := s.Databases[p.Family]
	if db == nil {
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: s.describe(d), Remedy: "look up the packet: replypath explain " + explainArguments(packet)}
	}
	expected, ours := s.expectedRule(db, p, packet)
	if ours < 0 {
		return health.ProofCheck{Result: health.No, Cause: health.RuleMissing, Detail: fmt.Sprintf("the rule %q is missing: %s", expected, s.describe(d)), Remedy: repair}
	}
	result := db.LookUp(packet)
	step, decided := decidingStep(result)
	at := slices.IndexFunc(result.Steps, func(s rpdb.Step) bool { return s.Rule == &db.Rules[ours] })
	switch {
	case d.Err != nil && !s.hasDefaultRoute(db, p):
		return s.routeMissing(p, d)
	case decided && packet.In != "" && (result.Error != 0 || result.DropReason != "") && step.Route != nil && step.Route.Type == uplinks.Unicast && !db.Links[packet.In].Checks.Forwarding:
		return notForwardedFrom(packet.In, p.Family)
	case !decided || at >= 0 && at < len(result.Steps)-1:
		return s.routeMissing(p, d)
	case step.Rule.Protocol != uplinks.Protocol:
		return s.ruleShadowed(db, result.Steps, d)
	case at < 0:
		return s.specificRoute(step, d)
	case step.Route.Protocol != uplinks.Protocol && s.hasDefaultRoute(db, p):
		return s.routeShadowed(step, d)
	}
	return s.routeMissing(p, d)
}

// expectedRule returns replypath's rule that should select the packet, in words and by its index, which is -1 when the rule is
// missing.
func (s Snapshot) expectedRule(db *rpdb.Database, p health.Path, packet rpdb.Packet) (text string, index int) {
	want := rpdb.Rule{Family: p.Family, Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	if packet.Mark&uint32(p.Mask) == uint32(p.Mark) {
		want.Mark, want.Mask = uint32(p.Mark), uint32(p.Mask)
	} else {
		want.From = netip.PrefixFrom(p.Source, p.Source.BitLen())
	}
	return want.String(), slices.IndexFunc(db.Rules, func(r rpdb.Rule) bool {
		return r.Protocol == uplinks.Protocol && r.Action == want.Action && r.Table == want.Table && r.Mark == want.Mark && r.Mask == want.Mask &&
			r.From == want.From && r.In == ""
	})
}

// decidingStep returns the step of the look-up that ended it.
func decidingStep(r rpdb.Result) (rpdb.Step, bool) {
	if len(r.Steps) == 0 || r.Steps[len(r.Steps)-1].Outcome != rpdb.Decided {
		return rpdb.Step{}, false
	}
	return r.Steps[len(r.Steps)-1], true
}

// hasDefaultRoute reports whether the path's table has replypath's default route.
func (s Snapshot) hasDefaultRoute(db *rpdb.Database, p health.Path) bool {
	return slices.ContainsFunc(db.Tables[p.Table], func(r rpdb.Route) bool {
		return r.Protocol == uplinks.Protocol && r.Dst.Bits() == 0 && r.Type == uplinks.Unicast
	})
}

// ruleShadowed returns that the rule of the last step decides, and which rule led there.
func (s Snapshot) ruleShadowed(db *rpdb.Database, steps []rpdb.Step, d uplinks.RouteDecision) health.ProofCheck {
	text := s.ruleText(db, steps[len(steps)-1].Rule) + s.foreignJumps(db, steps)
	return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed,
		Detail: fmt.Sprintf("a foreign rule precedes replypath's: %s: %s", text, s.describe(d)),
		Remedy: "give that rule a priority after replypath's, or move replypath's rules before it with priority = ..."}
}

// foreignJumps returns the rules of other programs that jumped to the rule of the last step, for the end of its text.
func (s Snapshot) foreignJumps(db *rpdb.Database, steps []rpdb.Step) (text string) {
	for _, step := range steps {
		if step.Outcome == rpdb.Jumped && step.Rule.Protocol != uplinks.Protocol {
			text += ", behind " + s.ruleText(db, step.Rule)
		}
	}
	return text
}

// ruleText returns a rule with all its selectors and the program that added it.
func (s Snapshot) ruleText(db *rpdb.Database, r *rpdb.Rule) string {
	owner := fmt.Sprintf("owner unknown (protocol %d)", r.Protocol)
	if name := db.Owner(r, s.Names); name != rpdb.UnknownOwner {
		owner = fmt.Sprintf("added by %s (protocol %d)", name, r.Protocol)
	}
	return fmt.Sprintf("priority %d %s, %s", r.Priority, r.Text(s.Names), owner)
}

func (s Snapshot) specificRoute(step rpdb.Step, d uplinks.RouteDecision) health.ProofCheck {
	detail := fmt.Sprintf("table main has a specific route to the peer through an interface that is not an uplink: %s", s.describe(d))
	if step.Route != nil {
		detail += fmt.Sprintf(", by the route %s, protocol %s", step.Route, s.Names.ProtocolName(step.Route.Protocol))
	}
	return health.ProofCheck{Result: health.No, Cause: health.RuleShadowed, Detail: detail,
		Remedy: "make that interface an uplink, or let the program that adds the route (often a VPN) use a default route in another table"}
}

func (s Snapshot) routeShadowed(step rpdb.Step, d uplinks.RouteDecision) health.ProofCheck {
	return health.ProofCheck{Result: health.No, Cause: health.RouteShadowed,
		Detail: fmt.Sprintf("table %s has a route of another program: %s, protocol %s: %s", step.Table, step.Route, s.Names.ProtocolName(step.Route.Protocol), s.describe(d)),
		Remedy: fmt.Sprintf("delete it: %s route del %s table %s", step.Rule.Family.IPCommand(), step.Route.Target(), step.Table)}
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
	table := s.Names.TableName(d.Table)
	switch {
	case d.Err != nil:
		return fmt.Sprintf("the kernel rejects the packet (%v)", d.Err)
	case d.Local:
		return "the packet is delivered to this host"
	case d.Gateway.IsValid():
		return fmt.Sprintf("the packet leaves by %s via %s (table %s)", s.linkName(d.Link), d.Gateway, table)
	}
	return fmt.Sprintf("the packet leaves by %s (table %s)", s.linkName(d.Link), table)
}

// explainArguments returns the arguments of replypath explain for the packet.
func explainArguments(p rpdb.Packet) string {
	line := p.To.String()
	add := func(has bool, format string, args ...any) {
		if has {
			line += fmt.Sprintf(" "+format, args...)
		}
	}
	add(p.From.IsValid(), "--from %s", p.From)
	add(p.In != "", "--in %s", p.In)
	add(p.Mark != 0, "--mark %#x", p.Mark)
	add(rpdb.HasPorts(p.Proto), "--proto %s --sport %d --dport %d", rpdb.ProtocolName(p.Proto), p.Sport, p.Dport)
	add(p.UID != 0, "--uid %d", p.UID)
	return line
}
