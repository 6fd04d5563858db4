package uplinks

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"replypath/marks"
)

// Action is the action of a rule on the packets that it matches.
type Action uint8

// The actions that replypath writes (linux/fib_rules.h, FR_ACT_*).
const (
	Lookup Action = 1
	Goto   Action = 2
	Nop    Action = 3
)

// actions has the words of ip-rule(8) for all actions, those of foreign rules too.
var actions = map[Action]string{Lookup: "lookup", Goto: "goto", Nop: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}

// String returns the word of ip-rule(8), or "type N".
func (a Action) String() string {
	if word, known := actions[a]; known {
		return word
	}
	return fmt.Sprintf("type %d", uint8(a))
}

// Rule is a rule of the routing policy database. It is comparable by ==. The kernel accepts two rules of the same priority
// if they differ in any field except Not and Goto.
type Rule struct {
	Family   Family
	Priority Priority
	Not      bool         // inverts the match
	From     netip.Prefix // zero: from all
	IIF      string       // iif
	Mark     marks.Mark   // fwmark, with Mask
	Mask     marks.Mask   // 0: any fwmark
	Selectors
	Action Action
	Table  Table    // Lookup
	Goto   Priority // Goto
	// A look-up ignores a route with a prefix of at most SuppressLength (suppress_prefixlength), or by a link of
	// SuppressGroup (suppress_ifgroup). NoSuppress: not set.
	SuppressLength int32
	SuppressGroup  int64
	// Other has further selectors in the kernel's encoding. A rule of replypath's that another program has changed is
	// recognised by it and can be deleted.
	Other string
}

// NoSuppress means that a suppressor is not set.
const NoSuppress = -1

// newRule returns a rule without selectors and suppressors.
func newRule(f Family, p Priority, a Action) Rule {
	return Rule{Family: f, Priority: p, Action: a, SuppressLength: NoSuppress, SuppressGroup: NoSuppress}
}

// duplicateKey returns the fields that the kernel always compares when it looks for a duplicate of a new rule: not the
// inversion and not the target of a goto (net/core/fib_rules.c, rule_exists).
func (r Rule) duplicateKey() Rule {
	r.Not, r.Goto, r.From, r.To, r.TOS, r.Other = false, 0, netip.Prefix{}, netip.Prefix{}, 0, ""
	return r
}

// blocks reports whether the kernel takes the rule for a duplicate of the one to be added, and refuses that one. It
// compares address and type of service only if the new rule selects by them (fib4_rule_compare, fib6_rule_compare).
// The two rules have the same duplicateKey.
func (r Rule) blocks(adding Rule) bool {
	return (!adding.From.IsValid() || adding.From == r.From) && (!adding.To.IsValid() || adding.To == r.To) &&
		(adding.TOS == 0 || adding.TOS == r.TOS) && r.Other == adding.Other
}

// String returns the rule as arguments of ip-rule(8), without "ip rule add".
func (r Rule) String() string {
	w := []string{fmt.Sprintf("priority %d", r.Priority)}
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if r.Not {
		add("not")
	}
	if r.From.IsValid() {
		add("from %s", formatPrefix(r.From))
	} else {
		add("from all")
	}
	if r.To.IsValid() {
		add("to %s", formatPrefix(r.To))
	}
	if r.Mask != 0 {
		add("fwmark %s/%s", r.Mark, r.Mask)
	}
	if r.IIF != "" {
		add("iif %s", r.IIF)
	}
	r.Selectors.write(add)
	switch r.Action {
	case Lookup:
		add("lookup %s", r.Table)
	case Goto:
		add("goto %d", r.Goto)
	case Nop:
		add("nop")
	default:
		add("%s", r.Action)
	}
	if r.SuppressLength != NoSuppress {
		add("suppress_prefixlength %d", r.SuppressLength)
	}
	if r.SuppressGroup != NoSuppress {
		add("suppress_ifgroup %d", r.SuppressGroup)
	}
	add("protocol %d", Protocol)
	return strings.Join(w, " ")
}

// Spec returns the rule as String does, without replypath's protocol: for foreign rules.
func (r Rule) Spec() string {
	return strings.TrimSuffix(r.String(), fmt.Sprintf(" protocol %d", Protocol))
}

// String returns "main" for main, and the number of any other table.
func (t Table) String() string {
	if t == MainTable {
		return "main"
	}
	return fmt.Sprint(uint32(t))
}

// formatPrefix returns the prefix, without a length if it is a single address.
func formatPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// compareRules sorts by family and priority, then by the other fields.
func compareRules(a, b *Rule) int {
	if a.Family != b.Family || a.Priority != b.Priority {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Priority, b.Priority))
	}
	return cmp.Or(
		a.From.Addr().Compare(b.From.Addr()),
		cmp.Compare(a.From.Bits(), b.From.Bits()),
		cmp.Compare(a.Mark, b.Mark),
		cmp.Compare(a.Mask, b.Mask),
		cmp.Compare(a.IIF, b.IIF),
		cmp.Compare(a.Action, b.Action),
		cmp.Compare(a.Table, b.Table),
		cmp.Compare(a.Goto, b.Goto),
		compareBool(a.Not, b.Not),
		cmp.Compare(a.SuppressLength, b.SuppressLength),
		cmp.Compare(a.SuppressGroup, b.SuppressGroup),
		compareSelectors(&a.Selectors, &b.Selectors),
		cmp.Compare(a.Other, b.Other),
	)
}
