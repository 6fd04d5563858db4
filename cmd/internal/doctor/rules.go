package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// checkRulePriorities reports foreign rules within replypath's block of priorities, and those before it that match all
// packets.
func (s Snapshot) checkRulePriorities() (all []Finding) {
	first, last := s.Settings.Priority, s.Settings.Priority+uplinks.BlockSize-1
	var among, before, idle []string
	var amongOwners, beforeOwners, idleOwners []string
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			switch {
			case !isForeign(r):
			case r.Priority >= first && r.Priority <= last:
				among, amongOwners = append(among, ruleLine(d, r, s.Names)), append(amongOwners, ownerName(ruleOwner(d, r, s.Names)))
			case r.Priority < first && catchesAll(r) && !routesClients(d, r):
				idle, idleOwners = append(idle, ruleLine(d, r, s.Names)), append(idleOwners, ownerName(ruleOwner(d, r, s.Names)))
			case r.Priority < first && catchesAll(r):
				before, beforeOwners = append(before, ruleLine(d, r, s.Names)), append(beforeOwners, ownerName(ruleOwner(d, r, s.Names)))
			}
		}
	}
	if len(among) > 0 {
		all = append(all, Finding{ID: "rule-among-ours", Severity: Warning, Evidence: limitEvidence(among),
			Message: fmt.Sprintf("ip rules of %s have priorities in the block of replypath, %d to %d", commaList(unique(amongOwners)), first, last),
			Remedy:  s.withFreePriority(fmt.Sprintf("give those rules priorities above %d", last))})
	}
	if len(before) > 0 {
		all = append(all, Finding{ID: "rule-before-ours", Severity: Error, Evidence: limitEvidence(before),
			Message: fmt.Sprintf("ip rules of %s precede those of replypath and match all packets, including replies", commaList(unique(beforeOwners))),
			Remedy:  s.withFreePriority(fmt.Sprintf("give those rules priorities above %d", last))})
	}
	if len(idle) > 0 {
		all = append(all, Finding{ID: "rule-before-ours", Severity: Note, Evidence: limitEvidence(idle),
			Message: fmt.Sprintf("ip rules of %s precede those of replypath and match all packets; today their tables have no route to the Internet, and replies reach the rules of replypath", commaList(unique(idleOwners))),
			Remedy:  s.withFreePriority(fmt.Sprintf("none needed as long as that stays so; otherwise give those rules priorities above %d", last))})
	}
	return all
}

// routesClients reports whether the rule decides on replies to clients on the Internet: by refusing them, or by a route in its
// table. A look-up that finds none goes on with the next rule. The database has the routes to such a client.
func routesClients(d *rpdb.Database, r *rpdb.Rule) bool {
	return r.Action != uplinks.Lookup || slices.ContainsFunc(d.Tables[r.Table], func(r rpdb.Route) bool { return r.Type != rpdb.Throw })
}

// catchesAll reports whether the rule decides for the marked packets of every connection. One with suppress_prefixlength
// does not.
func catchesAll(r *rpdb.Rule) bool {
	anything := !r.From.IsValid() && !r.To.IsValid() && r.In == "" && r.Out == "" && r.TOSMask == 0 && r.FlowLabelMask == 0 && r.Proto == 0 &&
		r.Sport == rpdb.PortRange{} && r.Dport == rpdb.PortRange{} && r.UIDs == nil && r.Tunnel == 0 && !r.L3mdev && len(r.UnknownAttrs) == 0
	return anything && (r.Mask == 0) != r.Not && decides(r)
}

// decides reports whether a look-up ends at the rule if it matches.
func decides(r *rpdb.Rule) bool {
	return r.Action != uplinks.Nop && r.Action != uplinks.Goto && r.SuppressLength == uplinks.NoSuppress
}

// checkTables reports foreign routes in the uplinks' range of tables. In the table of a configured uplink they are an
// error: they reroute replies.
func (s Snapshot) checkTables() []Finding {
	limit := s.Settings.TableBase + s.maxTables()
	severity := Warning
	var lines []string
	for key, r := range s.State.Routes {
		if r.Protocol == uplinks.Protocol || key.Table <= s.Settings.TableBase || key.Table > limit {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s table %d: %s, protocol %s", key.Family, key.Table, key.Dst, s.Names.ProtocolName(r.Protocol)))
		if slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool { return s.Settings.Table(u) == key.Table }) {
			severity = Error
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	return []Finding{{ID: "table-in-use", Severity: severity, Evidence: limitEvidence(lines),
		Message: fmt.Sprintf("other programs have routes in the tables of uplinks, %d to %d", s.Settings.TableBase+1, limit),
		Remedy:  fmt.Sprintf("move those routes to other tables, or set table_base = %d", s.freeTableBase())}}
}

func unique(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}
