package rpdb

import (
	"slices"
	"syscall"

	"replypath/uplinks"
)

// Outcome is the result of one rule for a packet.
type Outcome string

// With all but Jumped and Decided the look-up continues with the next rule.
const (
	NotMatched Outcome = "missed"     // the rule does not match
	NoOp       Outcome = "nop"        // the rule does nothing
	Unresolved Outcome = "unresolved" // a goto to a priority without a rule
	Empty      Outcome = "empty"      // the table has no route
	Thrown     Outcome = "thrown"     // the route is of type throw
	TooShort   Outcome = "too short"  // suppress_prefixlength rejects the route
	InGroup    Outcome = "in group"   // suppress_ifgroup rejects the route
	Jumped     Outcome = "jumped"     // a goto to Step.Rule.Goto
	Decided    Outcome = "decided"    // the look-up ends here
)

// Step is the evaluation of one rule.
type Step struct {
	Rule    *Rule
	Outcome Outcome
	// Mismatch has the first selector that does not match, with the value of the packet. A rule with "not" matches such
	// packets.
	Mismatch string
	Table    uplinks.Table // the table that was looked up; 0: none
	Route    *Route        // the route in that table
	// ByHash reports that another next hop of the route would lead to another outcome. The hash of the packet chooses the
	// next hop.
	ByHash bool
}

// Answer is the result of a look-up: a route that leads somewhere, or an error.
type Answer struct {
	Route *Route
	Error syscall.Errno
}

// Walk evaluates the rules as fib_rules_lookup does. It returns the evaluation of each rule, and the result.
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

// vrf returns the VRF of the packet, or "".
func (d *Database) vrf(p Packet) string {
	if v := d.Links[p.Out].VRF; v != "" {
		return v
	}
	return d.Links[p.In].VRF
}

// ruleIndex returns the index of the first rule with the priority, or -1.
func (d *Database) ruleIndex(p uplinks.Priority) int {
	return slices.IndexFunc(d.Rules, func(r Rule) bool { return r.Priority == p })
}

// evaluate evaluates one rule.
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

// lookUpTable looks the packet up in the table of the rule.
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

// suppressByGroup compares the group of the link of the route: in IPv4 that of the first next hop, in IPv6 that of the next
// hop that would be selected (fib4_rule_suppress, fib6_rule_suppress).
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

// answer returns the result of a step that decides. The refusals of a rule have other errors than those of a route
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
