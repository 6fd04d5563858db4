package doctor

import (
	"fmt"
	"slices"
)

// checkUnresolvedRouters reports uplinks on shared links of whose routers no hardware address is known. What such a router sends is
// taken for that of the first uplink on the link, where it is right.
func (s Snapshot) checkUnresolvedRouters() (all []Finding) {
	first := map[string]string{} // uplink by link
	for _, r := range s.Settings.SharedRouters(s.Facts) {
		l := s.Facts.Links[r.Link]
		if first[r.Link] == "" {
			first[r.Link] = r.Uplink
			continue
		}
		if !slices.Contains(s.Unresolved, r.Uplink) || !l.Up || !l.Carrier {
			continue
		}
		var evidence []string
		for _, a := range r.Addrs {
			text := fmt.Sprintf("%s dev %s has no entry", a, r.Link)
			if n, found := s.Egress.FindNeighbour(l.Index, a); found {
				text = s.Egress.NeighbourText(n)
			}
			evidence = append(evidence, "ip neigh: "+text)
		}
		all = append(all, Finding{ID: "unresolved-router", Severity: Warning, Evidence: evidence,
			Message: fmt.Sprintf("no router of %s on %s answers, and none has before: replies to new connections by it leave by the router of %s", r.Uplink, r.Link, first[r.Link]),
			Remedy:  fmt.Sprintf("check that it is there: ping -I %[1]s %[2]s; for one that answers nobody: ip neigh replace %[2]s dev %[1]s lladdr MAC nud permanent", r.Link, r.Addrs[0])})
	}
	return all
}
