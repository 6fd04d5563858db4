package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks/foreign"
	"replypath/uplinks/egress"
)

// checkAcceleration reports rules that need to see every packet: those of accelerated connections pass FORWARD once, and have no
// mark when they leave.
func (s Snapshot) checkAcceleration() []Finding {
	var links []string
	for f := range s.State.Flows {
		links = f.Links()
	}
	if len(links) == 0 {
		return nil
	}
	lines := s.egressFilters(links, "fw")
	byMark := len(lines) > 0
	lines = append(lines, s.firewallRules(func(f foreign.Rule) bool {
		return f.Devices != "" && f.MarkBits != 0 && slices.ContainsFunc(strings.Fields(f.Devices), func(name string) bool { return slices.Contains(links, name) })
	})...)
	lines = append(lines, s.firewallRules(func(f foreign.Rule) bool {
		return f.Devices == "" && f.MarkBits != 0 && !f.WritesMark && (f.Hook == "FORWARD" || f.Hook == "POSTROUTING")
	})...)
	if len(lines) == 0 {
		return nil
	}
	f := Finding{ID: "accelerated-unseen", Severity: Warning, Evidence: limitEvidence(lines),
		Message: "rules need to see every packet, and accelerate makes established connections pass them by, or without a mark",
		Remedy:  fmt.Sprintf("take the links of those rules out of accelerate, or let them select by addresses and ports; accelerated are: %s", strings.Join(links, ", "))}
	if byMark {
		f.Message = "traffic control selects by mark, which packets of accelerated connections do not have when they leave: they get the default class"
	}
	return []Finding{f}
}

// egressFilters returns the filters of a kind at the egress of the links.
func (s Snapshot) egressFilters(links []string, kind string) (lines []string) {
	for _, f := range s.Egress.Filters {
		name := s.Egress.LinkName(f.Link)
		if f.Kind == kind && f.Parent != egress.Ingress && f.Parent != egress.ClsactIngress && slices.Contains(links, name) {
			lines = append(lines, fmt.Sprintf("%s: filter %s, handle %#x", name, f.Kind, f.Handle))
		}
	}
	return lines
}
