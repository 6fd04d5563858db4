package uplinks

import "fmt"

// rivals names the rules of other programs that decide before ours, or among them.
func rivals(s Settings, f Facts) []Finding {
	var all []Finding
	local := map[Family]bool{}
	for _, r := range f.Others {
		switch {
		case r.Action == Lookup && r.Table == LocalTable:
			if !local[r.Family] && r.Priority > s.Priority {
				all = append(all, Finding{
					What: fmt.Sprintf("the table local is asked after our rules (%s rule %s): who asks this host at an address on a link that is no uplink is not heard, as that network is looked up in main first",
						r.Family.ip(), r.Selects()),
					Remedy: fmt.Sprintf("have it asked first, where the kernel puts it: %s rule add priority 0 lookup local", r.Family.ip()),
				})
			}
			local[r.Family] = true
		case r.Priority >= s.Priority && r.Priority < s.Priority+BlockSize:
			all = append(all, Finding{
				What:   fmt.Sprintf("a rule of another program is among ours (%s rule %s)", r.Family.ip(), r.Selects()),
				Remedy: "move that rule, or move ours to 2000 free priorities with priority = ...",
			})
		case r.Priority < s.Priority && r.catchesAll():
			all = append(all, Finding{
				What:   fmt.Sprintf("a rule of another program is asked before ours, and takes replies of uplinks too (%s rule %s)", r.Family.ip(), r.Selects()),
				Remedy: fmt.Sprintf("give that rule a priority above %d, or move ours before it with priority = ...", s.Priority+BlockSize-1),
			})
		}
	}
	return all
}

// catchesAll reports whether the rule decides for packets that wear a mark of ours, wherever they come from: it selects
// nothing, or all but one mark, as wg-quick's does.
func (r Rule) catchesAll() bool {
	anything := !r.From.IsValid() && r.In == "" && r.Other == "" && (r.Mask == 0) != r.Not
	return anything && r.Action != Nop && r.Action != Goto
}

// Selects is the rule without our protocol, which it does not have.
func (r Rule) Selects() string {
	text := r.String()
	return text[:len(text)-len(fmt.Sprintf(" protocol %d", Protocol))]
}
