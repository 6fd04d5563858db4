package doctor

import (
	"fmt"

	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// checkNeighbourTable reports that the neighbour table of a family is nearly full. Permanent and multicast entries do not count.
func (s Snapshot) checkNeighbourTable() (all []Finding) {
	for _, f := range uplinks.Families {
		limit, count := s.NeighbourLimits[f], 0
		for _, n := range s.Egress.Neighbours {
			if uplinks.FamilyOf(n.Addr) == f && n.State&(egress.Permanent|egress.NoARP) == 0 {
				count++
			}
		}
		if limit == 0 || float64(count) < tableWarnRatio*float64(limit) {
			continue
		}
		name := uplinks.NeighbourLimit(f)
		finding := Finding{ID: "neighbour-table-full", Severity: Warning, Evidence: []string{fmt.Sprintf("%d entries, %s = %d", count, name, limit)},
			Message: fmt.Sprintf("the kernel's neighbour table of %s is nearly full; once it is, neighbours that it does not know yet, and gateways among them, cannot be reached", f),
			Remedy:  fmt.Sprintf("sysctl -w %s=%d, in the initial network namespace, gc_thresh2 and gc_thresh1 with it, and in a file in /etc/sysctl.d; or find what fills it: %s neigh show", name, 4*limit, f.IPCommand())}
		if float64(count) >= tableErrorRatio*float64(limit) {
			finding.Severity = Error
		}
		all = append(all, finding)
	}
	return all
}
