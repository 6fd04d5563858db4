package uplinks

import "fmt"

// rivals names the rules of other programs that decide before ours, or among them.
func rivals(s Settings, f Facts) []Finding {
	var all []Finding
	for _, r := range f.Others {
		switch {
		case r.Action == Lookup && r.Table == LocalTable:
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
