package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// checkBackends tells that both iptables backends hold rules.
func (s Snapshot) checkBackends() []Finding {
	if !s.Facts.MixedBackends {
		return nil
	}
	return []Finding{{ID: "iptables-both", Severity: Warning, Evidence: limitEvidence(s.firstRulePerTool()),
		Message: fmt.Sprintf("both iptables backends hold rules of other programs; ours go to %s", s.Facts.Tools[uplinks.IPv4].Backend),
		Remedy:  `move the others to one backend (update-alternatives --config iptables), or choose with backend = "nft" or "legacy"`}}
}

// firstRulePerTool is one rule of each kind of listing.
func (s Snapshot) firstRulePerTool() (lines []string) {
	listed := map[string]bool{}
	for _, f := range s.Firewall {
		if !listed[f.Tool] {
			listed[f.Tool] = true
			lines = append(lines, firewallRuleText(f))
		}
	}
	return lines
}

// firewallRules gives the rules of which this is so.
func (s Snapshot) firewallRules(match func(marks.ForeignRule) bool) (lines []string) {
	for _, f := range s.Firewall {
		if match(f) {
			lines = append(lines, firewallRuleText(f))
		}
	}
	return lines
}

func (s Snapshot) checkNotrack() []Finding {
	lines := s.firewallRules(func(f marks.ForeignRule) bool { return f.NoTrack && f.In != "lo" && f.Out != "lo" })
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "notrack", Severity: Warning, Evidence: limitEvidence(lines),
		Message: "packets go untracked: they have no connection, so no mark, and their forwarded replies leave by main's default",
		Remedy:  "delete those rules, or limit them to what the host sends to itself: -i lo, -o lo (nft: iifname lo, oifname lo)"}}
}

func (s Snapshot) checkFlowOffload() []Finding {
	lines := s.firewallRules(func(f marks.ForeignRule) bool { return f.FlowOffload })
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "flow-offload", Severity: Note, Evidence: limitEvidence(lines),
		Message: "established connections may be offloaded: their packets pass by the chains and rules; replies go by their uplink, but are not counted",
		Remedy:  fmt.Sprintf("nothing; to have them counted, keep connections with a mark out: ct mark & 0x%x == 0 before flow add", uint32(s.Settings.Mask))}}
}

// The shares of the table at which it is nearly full, and at which new connections are about to be refused.
const (
	conntrackWarnRatio  = 0.80
	conntrackErrorRatio = 0.95
)

// checkConntrackSize tells that the table of connections is nearly full: what finds no place is dropped.
func (s Snapshot) checkConntrackSize() []Finding {
	if s.ConntrackMax == 0 || float64(s.ConntrackCount) < conntrackWarnRatio*float64(s.ConntrackMax) {
		return nil
	}
	f := Finding{ID: "conntrack-full", Severity: Warning, Evidence: []string{fmt.Sprintf("nf_conntrack_count = %d, nf_conntrack_max = %d", s.ConntrackCount, s.ConntrackMax)},
		Message: "the table of connections is nearly full; when it is, new connections are dropped",
		Remedy:  fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, in the host's first network namespace and in a file of /etc/sysctl.d", 2*s.ConntrackMax)}
	if float64(s.ConntrackCount) >= conntrackErrorRatio*float64(s.ConntrackMax) {
		f.Severity = Error
	}
	return []Finding{f}
}

// checkSavedRulesets tells of files that put our chains back as they were saved, or wrongly.
func (s Snapshot) checkSavedRulesets() (all []Finding) {
	for _, r := range s.SavedRulesets {
		when := "when it is loaded"
		if r.AtBoot {
			when = "at every boot"
		}
		f := Finding{ID: "saved-ruleset", Severity: Note, Evidence: limitEvidence(r.Lines),
			Message: fmt.Sprintf("%s holds chains of replypath's, which come back %s as they were when they were saved", r.Path, when),
			Remedy:  "save the firewall without them: replypath flush, save, replypath apply"}
		if r.ByNFT {
			f.Severity = Warning
			f.Message = fmt.Sprintf("%s copies marks without a mask, %s: nft lists CONNMARK rules of iptables so, and loaded again they wipe every mark", r.Path, when)
			f.Remedy = "take the tables of iptables out of that file (table ip mangle, table ip6 mangle), or those rules"
		}
		all = append(all, f)
	}
	return all
}

// checkNetworkd tells that systemd-networkd would delete ours.
func (s Snapshot) checkNetworkd() []Finding {
	if !s.Networkd.Active || s.Networkd.KeepsForeign {
		return nil
	}
	// A file of that name that says something else is somebody's.
	there := slices.ContainsFunc(s.Networkd.Lines, func(line string) bool { return strings.HasPrefix(line, NetworkdDropInPath) })
	return []Finding{{ID: "networkd-foreign", Severity: Warning, Fixable: !there,
		Evidence: append([]string{s.Networkd.Evidence}, s.Networkd.Lines...),
		Message:  "systemd-networkd deletes the rules and routes of others when it starts, and when a link loses its carrier",
		Remedy:   "tell it not to: ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no under [Network] in " + NetworkdDropInPath}}
}

// NetworkdDropInPath is the file that tells systemd-networkd so.
const NetworkdDropInPath = "/etc/systemd/networkd.conf.d/replypath.conf"
