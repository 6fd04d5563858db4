package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks/foreign"
	"replypath/uplinks"
)

// checkBackends reports that both iptables backends have rules.
func (s Snapshot) checkBackends() []Finding {
	if !s.Facts.MixedBackends {
		return nil
	}
	return []Finding{{ID: "iptables-both", Severity: Warning, Evidence: limitEvidence(s.firstRulePerTool()),
		Message: fmt.Sprintf("both iptables backends, nft and legacy, have rules of other programs; replypath uses %s", s.Facts.Firewalls[uplinks.IPv4].Backend),
		Remedy:  `move all programs to one backend (update-alternatives --config iptables), or set backend = "nft" or "legacy"`}}
}

// firstRulePerTool returns the first rule that each tool lists.
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

// firewallRules returns the text of the rules that match.
func (s Snapshot) firewallRules(match func(foreign.Rule) bool) (lines []string) {
	for _, f := range s.Firewall {
		if match(f) {
			lines = append(lines, firewallRuleText(f))
		}
	}
	return lines
}

func (s Snapshot) checkFlowOffload() []Finding {
	lines := s.firewallRules(func(f foreign.Rule) bool { return f.FlowOffload })
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "flow-offload", Severity: Note, Evidence: limitEvidence(lines),
		Message: "flow offload is configured: packets of offloaded connections bypass chains and rules; replies still leave by their uplink, but are not counted",
		Remedy:  fmt.Sprintf("none needed; to count them, offload only unmarked connections: ct mark & 0x%x == 0 before flow add", uint32(s.Settings.Mask))}}
}

// The fractions of the largest size of a table of the kernel from which a warning and an error are reported.
const (
	tableWarnRatio  = 0.80
	tableErrorRatio = 0.95
)

// checkConntrackSize reports that the connection tracking table is nearly full.
func (s Snapshot) checkConntrackSize() []Finding {
	if s.ConntrackMax == 0 || float64(s.ConntrackCount) < tableWarnRatio*float64(s.ConntrackMax) {
		return nil
	}
	f := Finding{ID: "conntrack-full", Severity: Warning, Evidence: []string{fmt.Sprintf("nf_conntrack_count = %d, nf_conntrack_max = %d", s.ConntrackCount, s.ConntrackMax)},
		Message: "the connection tracking table is nearly full; once it is, new connections are dropped",
		Remedy:  fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, in the initial network namespace, and in a file in /etc/sysctl.d", 2*s.ConntrackMax)}
	if float64(s.ConntrackCount) >= tableErrorRatio*float64(s.ConntrackMax) {
		f.Severity = Error
	}
	return []Finding{f}
}

// checkSavedRulesets reports files that restore replypath's chains as they were when saved, or without their masks.
func (s Snapshot) checkSavedRulesets() (all []Finding) {
	for _, r := range s.SavedRulesets {
		when := "when it is loaded"
		if r.AtBoot {
			when = "at every boot"
		}
		f := Finding{ID: "saved-ruleset", Severity: Note, Evidence: limitEvidence(r.Lines),
			Message: fmt.Sprintf("%s contains chains of replypath, which are restored %s as they were when saved", r.Path, when),
			Remedy:  "save the firewall without them: replypath flush, save the firewall, replypath apply"}
		if r.Native {
			f.Message = fmt.Sprintf("%s contains the table of replypath, which is restored %s as it was when saved", r.Path, when)
			if s.Settings.Protect {
				f.Severity = Warning
				f.Message = fmt.Sprintf("%s contains the table of replypath, which the service protects: nft refuses the whole file %s, with all other rules in it (EPERM)", r.Path, when)
			}
		} else if r.ByNFT {
			f.Severity = Warning
			f.Message = fmt.Sprintf("%s contains CONNMARK rules without their mask, as nft lists those of iptables; they overwrite all marks %s", r.Path, when)
			f.Remedy = "remove the tables of iptables (table ip mangle, table ip6 mangle), or those rules, from the file"
		}
		all = append(all, f)
	}
	return all
}

// checkNetworkd reports that systemd-networkd would delete replypath's rules and routes.
func (s Snapshot) checkNetworkd() []Finding {
	if !s.Networkd.Active || s.Networkd.KeepsForeign {
		return nil
	}
	// A drop-in with other contents was written by the operator: it is not overwritten.
	there := slices.ContainsFunc(s.Networkd.Lines, func(line string) bool { return strings.HasPrefix(line, NetworkdDropInPath) })
	return []Finding{{ID: "networkd-foreign", Severity: Warning, Fixable: !there,
		Evidence: append([]string{s.Networkd.Evidence}, s.Networkd.Lines...),
		Message:  "systemd-networkd deletes the rules and routes of other programs when it starts, and when a link loses its carrier",
		Remedy:   "set ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no in section [Network] of " + NetworkdDropInPath}}
}

// NetworkdDropInPath is the path of the drop-in that makes systemd-networkd keep foreign rules and routes.
const NetworkdDropInPath = "/etc/systemd/networkd.conf.d/replypath.conf"
