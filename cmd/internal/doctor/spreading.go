package doctor

import (
	"fmt"
	"maps"
	"slices"

	"replypath/uplinks"
)

// hashPolicies are the sysctls by which the kernel spreads connections over the next hops of a route.
var hashPolicies = map[uplinks.Family]uplinks.Tunable{
	uplinks.IPv4: {Name: "net.ipv4.fib_multipath_hash_policy"},
	uplinks.IPv6: {Name: "net.ipv6.fib_multipath_hash_policy"},
}

// Values of hashPolicies (Documentation/networking/ip-sysctl.rst): by addresses, and by ports too.
const (
	hashAddresses = "0"
	hashPorts     = "1"
)

// checkSpreading reports how the kernel spreads the connections of a policy of [outbound] with several uplinks in one tier: the
// sysctls belong to the whole host, and replypath leaves them as they are.
func (s Snapshot) checkSpreading() []Finding {
	if !s.spreads() {
		return nil
	}
	var evidence []string
	values := map[string]bool{}
	for _, f := range s.Facts.Families() {
		if value := s.Sysctls[hashPolicies[f]]; value != "" {
			values[value] = true
			evidence = append(evidence, s.sysctlLine(hashPolicies[f]))
		}
	}
	found := Finding{ID: "multipath-hash", Severity: Note, Evidence: evidence,
		Remedy: fmt.Sprintf("sysctl -w %s=1 %s=1", hashPolicies[uplinks.IPv4], hashPolicies[uplinks.IPv6])}
	all := slices.Sorted(maps.Keys(values))
	switch {
	case len(all) > 1:
		found.Severity, found.Message = Warning, "the policies of [outbound] spread IPv4 and IPv6 connections in different ways: one host may use two uplinks for one service"
	case len(all) == 0 || all[0] == hashPorts:
		return nil
	case all[0] == hashAddresses:
		found.Message = "the policies of [outbound] spread connections by their addresses alone: all connections between the same two hosts take one uplink"
	default:
		found.Message = "another program has chosen by what the policies of [outbound] spread connections: by the packets in tunnels, or by fields of its own"
	}
	return []Finding{found}
}

// spreads reports whether a policy has several uplinks in one tier, without sticky clients.
func (s Snapshot) spreads() bool {
	return slices.ContainsFunc(s.Settings.Outbound.Policies, func(p uplinks.Policy) bool {
		return !p.StickyClient && slices.ContainsFunc(p.Tiers, func(tier []uplinks.Member) bool { return len(tier) > 1 })
	})
}

// mainDefault is a default route of main.
type mainDefault struct {
	link string
	hop  uplinks.NextHop
}

func (d mainDefault) String() string {
	text := d.hop.Family.IPCommand() + " route default"
	if d.hop.Gateway.IsValid() {
		text += " via " + d.hop.Gateway.String()
	}
	text += fmt.Sprintf(" dev %s metric %d", d.link, d.hop.Metric)
	if d.hop.Dynamic {
		text += " (learnt)"
	}
	return text
}

// checkDefaultRoutes reports default routes of main by several links with the same metric, of which a DHCP client or a router has
// added one: which of them main uses then depends on which was added first. Where a policy of [outbound] decides, main's default
// routes do not matter until its last resort.
func (s Snapshot) checkDefaultRoutes() (all []Finding) {
	severity := Warning
	if o := s.Settings.Outbound; o.Enabled() && o.Default != uplinks.UseMain {
		severity = Note
	}
	for _, f := range s.Facts.Families() {
		byMetric := map[uint32][]mainDefault{}
		for _, name := range slices.Sorted(maps.Keys(s.Facts.Links)) {
			for _, hop := range s.Facts.Links[name].Defaults {
				same := byMetric[hop.Metric]
				if hop.Family == f && hop.Table == uplinks.MainTable && (len(same) == 0 || same[len(same)-1].link != name) {
					byMetric[hop.Metric] = append(same, mainDefault{name, hop})
				}
			}
		}
		for _, metric := range slices.Sorted(maps.Keys(byMetric)) {
			if found, is := disagreement(f, metric, byMetric[metric]); is {
				found.Severity = severity
				all = append(all, found)
			}
		}
	}
	return all
}

// disagreement returns the finding about default routes with the same metric.
func disagreement(f uplinks.Family, metric uint32, same []mainDefault) (found Finding, is bool) {
	learnt := slices.ContainsFunc(same, func(d mainDefault) bool { return d.hop.Dynamic })
	differ := slices.ContainsFunc(same, func(d mainDefault) bool { return d.hop.Preference != same[0].hop.Preference })
	if len(same) < 2 || !learnt || differ {
		return found, false
	}
	found = Finding{ID: "default-routes-disagree",
		Message: fmt.Sprintf("main has %s default routes with the metric %d by %d interfaces: which of them is used depends on which was added last, and may change with every lease or advertisement", f, metric, len(same)),
		Remedy:  "give the interfaces different metrics where the routes are learnt (RouteMetric= of systemd-networkd, metric of dhcpcd, ipv4.route-metric of NetworkManager), or let a policy choose: see [outbound]"}
	for _, d := range same {
		found.Evidence = append(found.Evidence, d.String())
	}
	return found, true
}
