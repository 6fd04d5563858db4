package uplinks

import "fmt"

// ruleConflicts names the rules of other programs that decide before ours, or among them.
func ruleConflicts(s Settings, f Facts) []Finding {
	var all []Finding
	localFirst := map[Family]bool{}
	for _, r := range f.ForeignRules {
		switch {
		case r.Action == Lookup && r.Table == LocalTable:
			if !localFirst[r.Family] && r.Priority > s.Priority {
				all = append(all, Finding{
					What: fmt.Sprintf("the table local is asked after our rules (%s rule %s): who asks this host at an address on a link that is no uplink is not heard, as that network is looked up in main first",
						r.Family.ipCommand(), r.Spec()),
					Remedy: fmt.Sprintf("have it asked first, where the kernel puts it: %s rule add priority 0 lookup local", r.Family.ipCommand()),
				})
			}
			localFirst[r.Family] = true
		case r.Priority >= s.Priority && r.Priority < s.Priority+BlockSize:
			all = append(all, Finding{
				What:   fmt.Sprintf("a rule of another program is among ours (%s rule %s)", r.Family.ipCommand(), r.Spec()),
				Remedy: "move that rule, or move ours to 2000 free priorities with priority = ...",
			})
		case r.Priority < s.Priority && r.matchesAllReplies():
			all = append(all, Finding{
				What:   fmt.Sprintf("a rule of another program is asked before ours, and takes replies of uplinks too (%s rule %s)", r.Family.ipCommand(), r.Spec()),
				Remedy: fmt.Sprintf("give that rule a priority above %d, or move ours before it with priority = ...", s.Priority+BlockSize-1),
			})
		}
	}
	return all
}

// matchesAllReplies reports whether the rule decides for packets that wear a mark of ours, wherever they come from: it selects
// nothing, or all but one mark, as wg-quick's does.
func (r Rule) matchesAllReplies() bool {
	anything := !r.From.IsValid() && r.IIF == "" && r.Other == "" && (r.Mask == 0) != r.Not
	return anything && r.Action != Nop && r.Action != Goto
}

// Spec is the rule without our protocol, which it does not have.
func (r Rule) Spec() string {
	text := r.String()
	return text[:len(text)-len(fmt.Sprintf(" protocol %d", Protocol))]
}
