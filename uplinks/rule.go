package uplinks

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"replypath/marks"
)

// Action is what a rule does with a packet that it selects.
type Action uint8

// The actions that we use; the numbers are the kernel's (linux/fib_rules.h).
const (
	Lookup Action = 1
	Goto   Action = 2
	Nop    Action = 3
)

// actions are what ip-rule(8) calls all of them: rules of others are named too.
var actions = map[Action]string{Lookup: "lookup", Goto: "goto", Nop: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}

// String is what ip-rule(8) calls the action.
func (a Action) String() string {
	if word, known := actions[a]; known {
		return word
	}
	return fmt.Sprintf("type %d", uint8(a))
}

// Rule is a rule of ours in the routing policy database. Two rules are the same exactly when they are ==: the kernel
// allows rules at one priority that differ in any field but Not and Goto.
type Rule struct {
	Family   Family
	Priority Priority
	Not      bool         // selects what the selectors below do not
	From     netip.Prefix // the zero Prefix: from all
	IIF      string       // iif
	Mark     marks.Mark   // fwmark, only with a Mask
	Mask     marks.Mask   // 0: any fwmark
	Action   Action
	Table    Table    // Lookup
	Goto     Priority // Goto
	// A look-up's answer is not taken when it is a default route or another with no longer a prefix
	// (suppress_prefixlength), or leaves by a link of this group (suppress_ifgroup). The kernel's values; NoSuppress is "not set".
	SuppressLength int32
	SuppressGroup  int64
	// Other has the attributes that we never write, as the kernel encodes them, so that a rule of ours that somebody
	// changed is told apart and can be deleted.
	Other string
}

// NoSuppress is a suppressor that is not set.
const NoSuppress = -1

// newRule is a rule without suppressors.
func newRule(f Family, p Priority, a Action) Rule {
	return Rule{Family: f, Priority: p, Action: a, SuppressLength: NoSuppress, SuppressGroup: NoSuppress}
}

// duplicateKey is alike for rules that are equal in all that the kernel always compares when a rule is added: a "not", and where
// a goto leads, it does not (net/core/fib_rules.c, rule_exists).
func (r Rule) duplicateKey() Rule {
	r.Not, r.Goto, r.From, r.Other = false, 0, netip.Prefix{}, ""
	return r
}

// blocks reports whether the kernel takes the rule for a twin that is to be added, and refuses that one: it compares an
// address and a type of service only when the new rule selects by them (fib4_rule_compare, fib6_rule_compare).
func (r Rule) blocks(adding Rule) bool {
	if adding.From.IsValid() && adding.From != r.From {
		return false
	}
	// The first two bytes are the type of service and the length of the destination.
	return r.Other == adding.Other || adding.Other == "" && (r.Other[0] != 0 || r.Other[1] != 0)
}

// String prints the rule as ip-rule(8) takes it, without "ip rule add".
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
	if r.Mask != 0 {
		add("fwmark %s/%s", r.Mark, r.Mask)
	}
	if r.IIF != "" {
		add("iif %s", r.IIF)
	}
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

// Spec returns the rule as ip-rule(8) takes it, without replypath's protocol: for rules of other programs.
func (r Rule) Spec() string {
	return strings.TrimSuffix(r.String(), fmt.Sprintf(" protocol %d", Protocol))
}

// String prints main by its name, every other table by its number.
func (t Table) String() string {
	if t == MainTable {
		return "main"
	}
	return fmt.Sprint(uint32(t))
}

// formatPrefix prints a prefix that holds one address without its length.
func formatPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

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
		cmp.Compare(a.Other, b.Other),
	)
}
