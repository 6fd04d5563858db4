package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// rivals are rules of others among ours, and those before ours that take every packet.
func (s Seen) rivals() (all []Finding) {
	first, last := s.Settings.Priority, s.Settings.Priority+uplinks.BlockSize-1
	var among, before []string
	var amongWho, beforeWho []string
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			switch {
			case !foreign(r):
			case r.Priority >= first && r.Priority <= last:
				among, amongWho = append(among, ruleLine(d, r, s.Names)), append(amongWho, someone(owner(d, r, s.Names)))
			case r.Priority < first && catchesAll(r):
				before, beforeWho = append(before, ruleLine(d, r, s.Names)), append(beforeWho, someone(owner(d, r, s.Names)))
			}
		}
	}
	if len(among) > 0 {
		all = append(all, Finding{ID: "rule-among-ours", Severity: Warning, Evidence: some(among),
			What:   fmt.Sprintf("ip rules of %s have priorities within ours, %d to %d", list(unique(amongWho)), first, last),
			Remedy: s.elsewhere(fmt.Sprintf("give those rules priorities above %d", last))})
	}
	if len(before) > 0 {
		all = append(all, Finding{ID: "rule-before-ours", Severity: Error, Evidence: some(before),
			What:   fmt.Sprintf("ip rules of %s are asked before ours and take every packet, replies of uplinks too", list(unique(beforeWho))),
			Remedy: s.elsewhere(fmt.Sprintf("give those rules priorities above %d", last))})
	}
	return all
}

// catchesAll reports whether the rule decides for the marked packets of every connection. One that only takes specific
// routes may not.
func catchesAll(r *rpdb.Rule) bool {
	anything := !r.From.IsValid() && !r.To.IsValid() && r.In == "" && r.Out == "" && r.TOSMask == 0 && r.LabelMask == 0 && r.Proto == 0 &&
		r.Sport == rpdb.Ports{} && r.Dport == rpdb.Ports{} && r.Users == nil && r.Tunnel == 0 && !r.L3mdev && len(r.Unknown) == 0
	return anything && (r.Mask == 0) != r.Not && decides(r)
}

// decides reports whether packets that the rule matches go by it, and do not come back to the next one.
func decides(r *rpdb.Rule) bool {
	return r.Action != uplinks.Nop && r.Action != uplinks.Goto && r.SuppressLength == uplinks.NoSuppress
}

// tables are routes of others in the tables of uplinks. Those in one that is in use take replies with them.
func (s Seen) tables() []Finding {
	limit := s.Settings.TableBase + s.ids()
	severity := Warning
	var lines []string
	for key, r := range s.State.Routes {
		if r.Protocol == uplinks.Protocol || key.Table <= s.Settings.TableBase || key.Table > limit {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s table %d: %s, protocol %s", key.Family, key.Table, key.Dst, s.Names.Protocol(r.Protocol)))
		if slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool { return s.Settings.Table(u) == key.Table }) {
			severity = Error
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return []Finding{{ID: "table-in-use", Severity: severity, Evidence: some(lines),
		What:   fmt.Sprintf("another program has routes in the tables of uplinks, %d to %d", s.Settings.TableBase+1, limit),
		Remedy: fmt.Sprintf("move those routes to other tables, or ours: set table_base = %d", s.base())}}
}

func unique(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}
