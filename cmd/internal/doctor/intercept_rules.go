package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// checkInterceptRules reports rules of transparent proxies that the host's own packets match too: their look-up says that
// every address is local. It does so to the source check, which refers to the mark on uplinks (src_valid_mark), and to the
// answers of the proxy, whose sockets have the mark of what they accepted (tcp_fwmark_accept).
func (s Snapshot) checkInterceptRules() (all []Finding) {
	for _, d := range s.Rules {
		for i := range d.Rules {
			r := &d.Rules[i]
			if !isForeign(r) || r.Action != uplinks.Lookup || r.Mask == 0 || r.Not || r.In != "" || !makesAllLocal(d, r.Table) || isGuarded(d, i) {
				continue
			}
			remedy := "intercept by [intercept.NAME] in the configuration of replypath, and delete the rule"
			if next := nextPriority(d, i); next != 0 && r.Priority > 0 {
				remedy = fmt.Sprintf("pass it over for packets of the host itself: %s rule add priority %d iif lo goto %d; or %s", d.Family.IPCommand(), r.Priority-1, next, remedy)
			}
			severity := Warning
			if r.Priority < s.Settings.Priority {
				severity = Error
			}
			all = append(all, Finding{ID: "intercept-rule", Severity: severity, Evidence: []string{ruleLine(d, r, s.Names)},
				Message: "an ip rule of a transparent proxy also decides on the source check and on the proxy's own answers, which then do not leave this host",
				Remedy:  remedy})
		}
	}
	return all
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
