package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
)

const rpFilter = "net.ipv4.conf.*.rp_filter"

// Sysctls returns the sysctls that Diagnose reads, of the links and of "all".
func Sysctls(f uplinks.Facts) []uplinks.Tunable {
	names := []string{"all"}
	for name := range f.Links {
		names = append(names, name)
	}
	slices.Sort(names)
	all := []uplinks.Tunable{hashPolicies[uplinks.IPv4], hashPolicies[uplinks.IPv6]}
	for _, name := range names {
		for _, sysctl := range []string{rpFilter, uplinks.SrcValidMark, arpIgnore, arpFilter, routeLocalnet, acceptRedirects4, acceptRedirects6, forwarding4, forwarding6} {
			all = append(all, uplinks.Tunable{Link: name, Name: sysctl})
		}
	}
	return all
}

// sysctlLine returns the sysctl with its value and the file that sets it.
func (s Snapshot) sysctlLine(t uplinks.Tunable) string {
	text := fmt.Sprintf("%s = %s", t, s.Sysctls[t])
	if file := s.SysctlFiles[t]; file != "" {
		text += ", set in " + file
	}
	return text
}

// effective returns the larger of the sysctl's values for the link and for "all", and which of them it is
// (Documentation/networking/ip-sysctl.rst).
func (s Snapshot) effective(link, sysctl string) (value string, by uplinks.Tunable) {
	own, all := uplinks.Tunable{Link: link, Name: sysctl}, uplinks.Tunable{Link: "all", Name: sysctl}
	if s.Sysctls[all] > s.Sysctls[own] {
		return s.Sysctls[all], all
	}
	return s.Sysctls[own], own
}

// checkRPFilter reports the reverse path filter of the uplinks. Strict mode is right once the rules are applied; before, it
// drops packets whose replies table main routes by another link.
func (s Snapshot) checkRPFilter() (all []Finding) {
	var strict, other []string
	for _, u := range s.presentUplinks() {
		value, by := s.effective(u.Link, rpFilter)
		line := fmt.Sprintf("%s: %s", u.Link, s.sysctlLine(by))
		if value == "1" {
			strict = append(strict, line)
		} else {
			other = append(other, line)
		}
	}
	switch {
	case len(strict) > 0 && !s.isApplied():
		all = append(all, Finding{ID: "rp-filter", Severity: Warning, Evidence: strict,
			Message: "rp_filter is strict and replypath is not applied: connections by an uplink without the default route of table main are dropped",
			Remedy:  "replypath apply; strict mode is right then"})
	case len(other) > 0:
		all = append(all, Finding{ID: "rp-filter", Severity: Note, Evidence: other,
			Message: "rp_filter of uplinks is not strict: packets with forged source addresses of a LAN are accepted",
			Remedy:  s.strictRemedy()})
	}
	if s.RPFilterDrops > 0 {
		all = append(all, Finding{ID: "rp-filter-refused", Severity: Note, Evidence: []string{fmt.Sprintf("IPReversePathFilter %d", s.RPFilterDrops)},
			Message: fmt.Sprintf("rp_filter has dropped %d packets since boot", s.RPFilterDrops),
			Remedy:  "see whether the counter grows while replies are missing: nstat -z TcpExtIPReversePathFilter; log the packets with: sysctl -w net.ipv4.conf.all.log_martians=1"})
	}
	return all
}

// strictRemedy returns the command that makes rp_filter strict on the uplinks only. The value for "all" applies to every
// link with a smaller one: it is set to 0, as strict mode on other links could cut off the operator.
func (s Snapshot) strictRemedy() string {
	var set []string
	if all := (uplinks.Tunable{Link: "all", Name: rpFilter}); s.Sysctls[all] > "1" {
		set = append(set, fmt.Sprintf(" %s=0", all))
	}
	for _, u := range s.presentUplinks() {
		if own := (uplinks.Tunable{Link: u.Link, Name: rpFilter}); s.Sysctls[own] != "1" {
			set = append(set, fmt.Sprintf(" %s=1", own))
		}
	}
	return "sysctl -w" + strings.Join(set, "")
}

// checkSrcValidMark reports that src_valid_mark is set for all links. The fix is safe if no link has rp_filter.
func (s Snapshot) checkSrcValidMark() []Finding {
	all := uplinks.Tunable{Link: "all", Name: uplinks.SrcValidMark}
	if s.Sysctls[all] != "1" {
		return nil
	}
	checked := s.Sysctls[uplinks.Tunable{Link: "all", Name: rpFilter}] != "0"
	for name := range s.Facts.Links {
		checked = checked || s.Sysctls[uplinks.Tunable{Link: name, Name: rpFilter}] != "0"
	}
	f := Finding{ID: "src-valid-mark-all", Severity: Warning, Evidence: []string{s.sysctlLine(all)}, Fixable: !checked && s.SysctlFiles[all] == "",
		Message: "src_valid_mark is set for all links: rp_filter uses the marks of all programs (wg-quick and old versions of Tailscale set this)",
		Remedy:  "set it only for the links that need it: sysctl -w net.ipv4.conf.all.src_valid_mark=0"}
	if file := s.SysctlFiles[all]; file != "" {
		f.Remedy += "; and remove it from " + file
	}
	return []Finding{f}
}

// checkFirewallSourceCheck reports reverse path checks of the firewall that ignore marks.
func (s Snapshot) checkFirewallSourceCheck() []Finding {
	var lines []string
	for _, f := range s.Firewall {
		if f.ChecksReversePath && !f.ChecksWithMark && s.matchesUplink(f.In) {
			lines = append(lines, firewallRuleText(f))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "firewall-source-check", Severity: Error, Evidence: limitEvidence(lines),
		Message: "the firewall has a reverse path check that ignores marks: connections by an uplink without the default route of table main are dropped",
		Remedy:  "delete those rules and use sysctl rp_filter=1, or check after replypath's chains in table mangle with --validmark (nft: fib saddr . mark . iif, priority above -150)"}}
}

// matchesUplink reports whether an interface match of iptables, which may be empty or end in +, includes an uplink.
func (s Snapshot) matchesUplink(links string) bool {
	start, some := strings.CutSuffix(links, "+")
	return links == "" || slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool {
		return u.Link == links || some && strings.HasPrefix(u.Link, start)
	})
}
