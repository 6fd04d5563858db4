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
	lines = append(lines, s.firewallRules(func(f foreign.Rule) bool { return needsMark(f, links) })...)
	counting := s.firewallRules(func(f foreign.Rule) bool { return !needsMark(f, links) && seesConnections(f, links) })
	lines = append(lines, counting...)
	if len(lines) == 0 {
		return nil
	}
	f := Finding{ID: "accelerated-unseen", Severity: Warning, Evidence: limitEvidence(lines),
		Message: "rules need to see every packet, and accelerate makes established connections pass them by, or without a mark",
		Remedy:  fmt.Sprintf("take the links of those rules out of accelerate, or let them select by addresses and ports; accelerated are: %s", strings.Join(links, ", "))}
	if len(counting) > 0 {
		f.Remedy += "; what is counted there, connection tracking counts too (sysctl net.netfilter.nf_conntrack_acct=1, conntrack -L)"
	}
	if byMark {
		f.Message = "traffic control selects by mark, which packets of accelerated connections do not have when they leave: they get the default class"
	}
	return []Finding{f}
}

// needsMark reports whether the rule selects by the mark of packets that leave by the links, or are forwarded.
func needsMark(f foreign.Rule, links []string) bool {
	atLink := slices.ContainsFunc(f.Devices.Values(), func(name string) bool { return slices.Contains(links, name) })
	forwarded := f.Devices.IsEmpty() && !f.WritesMark && (f.Hook == "FORWARD" || f.Hook == "POSTROUTING")
	return f.MarkBits != 0 && (atLink || forwarded)
}

// seesConnections reports whether the rule counts the packets of connections between the links, or hands them to a program.
func seesConnections(f foreign.Rule, links []string) bool {
	accelerated := func(name string) bool { return name == "" || slices.Contains(links, name) }
	return f.Forwarded && (f.Counts || f.Queues.Hands) && accelerated(f.In) && accelerated(f.Out)
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
