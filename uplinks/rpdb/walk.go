package rpdb

import (
	"slices"
	"syscall"

	"replypath/uplinks"
)

// Outcome is what became of the packet at a rule.
type Outcome string

// The outcomes. All but the last two send it on to the next rule.
const (
	NotMatched Outcome = "missed"     // the rule is not for it
	NoOp       Outcome = "nop"        // nothing
	Unresolved Outcome = "unresolved" // a goto to where no rule is
	Empty      Outcome = "empty"      // the table has no route for it
	Thrown     Outcome = "thrown"     // the table's route says to ask on
	TooShort   Outcome = "too short"  // suppress_prefixlength did not take the route
	InGroup    Outcome = "in group"   // suppress_ifgroup did not take the route
	Jumped     Outcome = "jumped"     // a goto, to Step.Rule.Goto
	Decided    Outcome = "decided"    // the look-up ends here
)

// Step is the packet's visit to one rule.
type Step struct {
	Rule    *Rule
	Outcome Outcome
	// Why tells which selector was not met, and what the packet has there. A rule with "not" is for such packets.
	Mismatch string
	Table    uplinks.Table // that was asked, 0 when none was
	Route    *Route        // that the table gave
	// ByHash says that another hop of the route would have made another outcome, and the packet's hash chooses the hop.
	ByHash bool
}

// Answer is how a look-up ends: by a route that leads somewhere, or by an error.
type Answer struct {
	Route *Route
	Error syscall.Errno
}

// Walk is fib_rules_lookup: every rule that the packet visits, and what comes of it.
func (d *Database) Walk(p Packet) (steps []Step, a Answer) {
	p.VRF = d.vrf(p)
	for at := 0; at < len(d.Rules); at++ {
		s := d.evaluate(&d.Rules[at], p)
		steps = append(steps, s)
		switch s.Outcome {
		case Jumped:
			at = d.ruleIndex(s.Rule.Goto) - 1
		case Decided:
			return steps, s.answer()
		}
	}
	return steps, Answer{Error: syscall.ENETUNREACH}
}

func (d *Database) vrf(p Packet) string {
	if v := d.Links[p.Out].VRF; v != "" {
		return v
	}
	return d.Links[p.In].VRF
}

// ruleIndex is the first rule of that priority, or -1.
func (d *Database) ruleIndex(p uplinks.Priority) int {
	return slices.IndexFunc(d.Rules, func(r Rule) bool { return r.Priority == p })
}

func (d *Database) evaluate(r *Rule, p Packet) Step {
	s := Step{Rule: r, Mismatch: r.mismatch(p)}
	switch {
	case (s.Mismatch == "") == r.Not:
		s.Outcome = NotMatched
	case r.Action == uplinks.Nop:
		s.Outcome = NoOp
	case r.Action == uplinks.Goto && d.ruleIndex(r.Goto) < 0:
		s.Outcome = Unresolved
	case r.Action == uplinks.Goto:
		s.Outcome = Jumped
	case r.Action != uplinks.Lookup:
		s.Outcome = Decided
	default:
		d.lookUpTable(&s, p)
	}
	return s
}

// lookUpTable looks the packet up in the rule's table.
func (d *Database) lookUpTable(s *Step, p Packet) {
	s.Table = s.Rule.Table
	if s.Rule.L3mdev {
		s.Table = d.Links[p.VRF].VRFTable
	}
	s.Route = d.findRoute(s.Table, p)
	switch {
	case s.Route == nil:
		s.Outcome = Empty
	case s.Route.Type == Throw:
		s.Outcome = Thrown
	case refusals[s.Route.Type] != 0:
		s.Outcome = Decided
	case int32(s.Route.Dst.Bits()) <= s.Rule.SuppressLength:
		s.Outcome = TooShort
	default:
		s.Outcome = Decided
		d.suppressByGroup(s)
	}
}

// suppressByGroup looks at the group of the link that the route leads to: IPv4 at that of the first hop, IPv6 at that of
// the hop that it would take (fib4_rule_suppress, fib6_rule_suppress).
func (d *Database) suppressByGroup(s *Step) {
	if s.Rule.SuppressGroup == uplinks.NoSuppress {
		return
	}
	hops, in := s.Route.Hops, 0
	if d.Family == uplinks.IPv4 {
		hops = hops[:min(len(hops), 1)]
	} else if s.Route.Type == uplinks.Unicast {
		hops = slices.DeleteFunc(slices.Clone(hops), func(h Hop) bool { return h.Dead })
	}
	for _, h := range hops {
		if l, ok := d.Links[h.Link]; ok && int64(l.Group) == s.Rule.SuppressGroup {
			in++
		}
	}
	if in > 0 {
		s.Outcome = InGroup
	}
	s.ByHash = in > 0 && in < len(hops)
}

// answer is what a step that decides says. A rule's own refusals have other errors than those of routes
// (fib4_rule_action, fib6_rule_action).
func (s Step) answer() Answer {
	switch {
	case s.Route != nil && refusals[s.Route.Type] == 0:
		return Answer{Route: s.Route}
	case s.Route != nil:
		return Answer{Route: s.Route, Error: refusals[s.Route.Type]}
	case s.Rule.Action == Unreachable:
		return Answer{Error: syscall.ENETUNREACH}
	case s.Rule.Action == Prohibit:
		return Answer{Error: syscall.EACCES}
	}
	return Answer{Error: syscall.EINVAL}
}
