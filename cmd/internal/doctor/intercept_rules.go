package doctor

import (
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// checkInterceptRules reports rules of transparent proxies that the host's own packets match too: their look-up says that
// every address is local. It does so to the source check, which refers to the mark on uplinks (src_valid_mark), and to the
// answers of the proxy, whose sockets have the mark of what they accepted (tcp_fwmark_accept). And those that compare the
// whole mark, which is another one on packets that came in by an uplink.
func (s Snapshot) checkInterceptRules() (all []Finding) {
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			if !isForeign(r) || r.Action != uplinks.Lookup || r.Mask == 0 || r.Not || r.In != "" || !makesAllLocal(d, r.Table) {
				continue
			}
			if f, found := s.checkInterceptRule(d, i); found {
				all = append(all, f)
			}
		}
	}
	return all
}

// checkInterceptRule returns the finding about the rule at the index.
func (s Snapshot) checkInterceptRule(d *rpdb.Database, i int) (Finding, bool) {
	r := &d.Rules[i]
	f := Finding{ID: "intercept-rule", Severity: Warning, Evidence: []string{ruleLine(d, r, s.Names)}}
	unguarded, whole := !isGuarded(d, i), s.comparesWholeMark(d, r)
	var lines []string
	if next := nextPriority(d, i); unguarded && next != 0 && r.Priority > 0 {
		lines = append(lines, fmt.Sprintf("%s rule add priority %d iif lo goto %d", d.Family.IPCommand(), r.Priority-1, next))
	}
	if whole {
		lines = append(lines, fmt.Sprintf("%s rule add priority %d fwmark %#x/%#[3]x lookup %d", d.Family.IPCommand(), r.Priority, r.Mark, r.Table))
	}
	switch {
	case unguarded:
		f.Message = "an ip rule of a transparent proxy also decides on the source check and on the proxy's own answers, which then do not leave this host"
		if whole {
			f.Message += "; and it compares the whole mark, which packets from an uplink do not have"
		}
	case whole:
		f.Message = "an ip rule of a transparent proxy compares the whole mark: packets from an uplink have bits of their own in it, and do not reach the proxy"
	default:
		return f, false
	}
	if unguarded && r.Priority < s.Settings.Priority {
		f.Severity = Error
	}
	f.Remedy = "intercept by [intercept.NAME] in the configuration of replypath, and delete the rule"
	if len(lines) > 0 {
		f.Remedy, f.Commands = "pass it over for packets of the host itself, and compare the bit alone, by the commands below; or "+f.Remedy, lines
	}
	return f, true
}

// comparesWholeMark reports whether the rule compares all bits of the mark, though only those outside the mask matter to it, and
// no other rule for its table compares these alone.
func (s Snapshot) comparesWholeMark(d *rpdb.Database, r *rpdb.Rule) bool {
	if marks.Mask(r.Mask) != marks.FullMask || r.Mark == 0 || marks.Mask(r.Mark)&s.Settings.Mask != 0 {
		return false
	}
	return !slices.ContainsFunc(d.Rules, func(o rpdb.Rule) bool {
		return o.Action == uplinks.Lookup && o.Table == r.Table && !o.Not && o.Mark == r.Mark && marks.Mask(o.Mask)&s.Settings.Mask == 0
	})
}

// makesAllLocal reports whether the table has a local default route.
func makesAllLocal(d *rpdb.Database, t uplinks.Table) bool {
	return slices.ContainsFunc(d.Tables[t], func(r rpdb.Route) bool { return r.Type == rpdb.Local && r.Dst.Bits() == 0 })
}

// isGuarded reports whether a rule before the one at the index leads all packets of the host itself past it.
func isGuarded(d *rpdb.Database, at int) bool {
	return slices.ContainsFunc(d.Rules[:at], func(g rpdb.Rule) bool {
		passes := g.Action == uplinks.Goto && g.Goto > d.Rules[at].Priority && g.In == "lo" && !g.Not
		return passes && !g.From.IsValid() && !g.To.IsValid() && g.Mask == 0
	})
}

// nextPriority returns the priority of the first rule that has a larger one than the rule at the index; 0: there is none.
func nextPriority(d *rpdb.Database, at int) uplinks.Priority {
	for _, r := range d.Rules[at:] {
		if r.Priority > d.Rules[at].Priority {
			return r.Priority
		}
	}
	return 0
}
