package uplinks

import "fmt"

// AddRule adds a rule. It fails if the rule exists.
type AddRule struct{ Rule Rule }

// String returns the ip-rule(8) command.
func (s AddRule) String() string {
	return fmt.Sprintf("%s rule add %s", s.Rule.Family.IPCommand(), s.Rule)
}

// Kind returns KindRule.
func (AddRule) Kind() Kind { return KindRule }

// Removes returns false.
func (AddRule) Removes() bool { return false }

// Scope returns the whole host: rules are in no table.
func (AddRule) Scope() Scope { return Scope{} }

// WriteTo adds the rule.
func (s AddRule) WriteTo(w Writer) { w.AddRule(s.Rule) }

// legend explains the mark trie if the rule is one of its gotos.
func (s AddRule) legend() string {
	r := s.Rule
	if r.Action == Goto && !r.Not && r.Mark != 0 && r.IIF == "" && !r.isOutbound() {
		return bucketsLegend
	}
	return ""
}

// bucketsLegend explains the rules that a reader of a plan with more than 3 uplinks meets first.
const bucketsLegend = "# ids above 3 are in buckets of 4, each with a goto out at its end; a goto for some bits of an id skips the buckets that differ in them"

// DelRule deletes a rule with exactly these fields. It succeeds if there is none.
type DelRule struct{ Rule Rule }

// String returns the ip-rule(8) command.
func (s DelRule) String() string {
	return fmt.Sprintf("%s rule del %s", s.Rule.Family.IPCommand(), s.Rule)
}

// Kind returns KindRule.
func (DelRule) Kind() Kind { return KindRule }

// Removes returns true.
func (DelRule) Removes() bool { return true }

// Scope returns the whole host: rules are in no table.
func (DelRule) Scope() Scope { return Scope{} }

// WriteTo deletes the rule.
func (s DelRule) WriteTo(w Writer) { w.DelRule(s.Rule) }

func (DelRule) legend() string { return "" }
