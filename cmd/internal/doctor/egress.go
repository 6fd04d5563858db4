package doctor

import (
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks/egress"
)

// checkEgress reports what takes replies after replypath's rules and chains: other rules, traffic control, IPsec, neighbours.
func (s Snapshot) checkEgress() []Finding {
	return slices.Concat(s.checkEgressRules(), s.checkTrafficControl(), s.checkPolicies(), s.checkNeighbours(), s.checkNeighbourTable(), s.checkARPOff())
}

// checkEgressRules reports firewall rules that drop, redirect or rewrite replies behind replypath's chains.
func (s Snapshot) checkEgressRules() []Finding {
	severity := Warning
	lines := s.firewallRules(func(f foreign.Rule) bool {
		concerns := (f.ChangesEgress() || f.BreaksDiscovery) && s.matchesUplink(f.Out) && s.onUplinkDevice(f.Devices)
		if concerns && (f.LinksOnly || f.BreaksDiscovery) {
			severity = Error
		}
		return concerns
	})
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "egress-rule", Severity: severity, Evidence: limitEvidence(lines),
		Message: "firewall rules drop, redirect or rewrite packets after replypath has routed them, in POSTROUTING or at the egress of an uplink",
		Remedy:  "delete those rules, or restrict them to packets that are no replies; replypath verify shows which replies they take"}}
}

// onUplinkDevice reports whether one of the links is an uplink's or below one. None means all.
func (s Snapshot) onUplinkDevice(links marks.List[string]) bool {
	return links.IsEmpty() || slices.ContainsFunc(links.Values(), func(name string) bool {
		return slices.ContainsFunc(s.uplinkLinks(), func(l egress.Link) bool { return l.Name == name })
	})
}

// uplinkLinks returns the links of the uplinks, and those below.
func (s Snapshot) uplinkLinks() (all []egress.Link) {
	for _, u := range s.presentUplinks() {
		all = append(all, s.Egress.Below(s.Facts.Links[u.Link].Index)...)
	}
	return all
}

// checkTrafficControl reports filters and qdiscs that drop, redirect or rewrite what leaves by an uplink.
func (s Snapshot) checkTrafficControl() []Finding {
	var lines []string
	severity := Note
	for _, l := range s.uplinkLinks() {
		for _, e := range s.Egress.LinkEffects(l.Index) {
			line := fmt.Sprintf("%s: %s", e.Text, e.Does)
			if slices.Contains(lines, line) {
				continue
			}
			lines = append(lines, line)
			switch {
			case e.Certain:
				severity = Error
			case severity == Note && !e.Opaque:
				severity = Warning
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "traffic-control", Severity: severity, Evidence: limitEvidence(lines),
		Message: "traffic control of an uplink can drop, redirect or rewrite packets after replypath has routed them",
		Remedy:  "tc -s filter show dev LINK egress, and tc -s qdisc show dev LINK, show what they do; remove those that take replies: tc filter del, tc qdisc del"}}
}
