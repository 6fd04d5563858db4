package inspect

import (
	"fmt"

	"replypath/uplinks"
)

// ruleConflicts returns the ip rules of other programs that decide before replypath's block of priorities, or within it.
func ruleConflicts(s uplinks.Settings, f uplinks.Facts) []Finding {
	var all []Finding
	localFirst := map[uplinks.Family]bool{}
	for _, r := range f.ForeignRules {
		switch {
		case r.Action == uplinks.Lookup && r.Table == uplinks.LocalTable:
			if !localFirst[r.Family] && r.Priority > s.Priority {
				all = append(all, Finding{
					What: fmt.Sprintf("the table local is looked up after replypath's rules (%s rule %s): for packets that come in by an uplink main is looked up first, so those to an address on a link that is not an uplink are not delivered to this host",
						r.Family.IPCommand(), r.Spec()),
					Remedy: fmt.Sprintf("put its rule first, where the kernel has it: %s rule add priority 0 lookup local", r.Family.IPCommand()),
				})
			}
			localFirst[r.Family] = true
		case r.Priority >= s.Priority && r.Priority < s.Priority+uplinks.BlockSize:
			all = append(all, Finding{
				What:   fmt.Sprintf("a rule of another program is within replypath's block of priorities (%s rule %s)", r.Family.IPCommand(), r.Spec()),
				Remedy: fmt.Sprintf("move that rule, or move the block to %d free priorities with priority = ...", uplinks.BlockSize),
			})
		case r.Priority < s.Priority && matchesAllReplies(r):
			all = append(all, Finding{
				What:   fmt.Sprintf("a rule of another program comes before replypath's and matches replies of uplinks too (%s rule %s)", r.Family.IPCommand(), r.Spec()),
				Remedy: fmt.Sprintf("give that rule a priority above %d, or move replypath's rules before it with priority = ...", s.Priority+uplinks.BlockSize-1),
			})
		}
	}
	return all
}

// matchesAllReplies reports whether the rule decides for packets with any uplink's mark from any source: it has no
// selector, or excludes a single mark as wg-quick's rule does.
func matchesAllReplies(r uplinks.Rule) bool {
	anySource := !r.From.IsValid() && r.IIF == "" && r.Other == "" && r.Selectors == (uplinks.Selectors{})
	return anySource && (r.Mask == 0) != r.Not && r.Action != uplinks.Nop && r.Action != uplinks.Goto
}
