package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
)

const rpFilter = "net.ipv4.conf.*.rp_filter"

// Sysctls are those that findings go by.
func Sysctls(f uplinks.Facts) []uplinks.Tunable {
	names := []string{"all"}
	for name := range f.Links {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []uplinks.Tunable
	for _, name := range names {
		for _, sysctl := range []string{rpFilter, uplinks.SrcValidMark, arpIgnore, arpFilter} {
			all = append(all, uplinks.Tunable{Link: name, Name: sysctl})
		}
	}
	return all
}

// sysctlLine is a sysctl as it was seen, and who sets it.
func (s Snapshot) sysctlLine(t uplinks.Tunable) string {
	text := fmt.Sprintf("%s = %s", t, s.Sysctls[t])
	if file := s.SysctlFiles[t]; file != "" {
		text += ", set in " + file
	}
	return text
}

// effective is the larger of a link's sysctl and that of all, and the one of the two that it is.
func (s Snapshot) effective(link, sysctl string) (value string, by uplinks.Tunable) {
	own, all := uplinks.Tunable{Link: link, Name: sysctl}, uplinks.Tunable{Link: "all", Name: sysctl}
	if s.Sysctls[all] > s.Sysctls[own] {
		return s.Sysctls[all], all
	}
	return s.Sysctls[own], own
}

// checkRPFilter tells how the uplinks' questions are checked. Strict is right once ours is applied; before, it refuses
// what main would not answer by the same link.
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
			Message: "the source check is strict, and nothing of replypath is applied: what is asked by an uplink that main does not answer by is refused",
			Remedy:  "replypath apply; strict is right then"})
	case len(other) > 0:
		all = append(all, Finding{ID: "rp-filter", Severity: Note, Evidence: other,
			Message: "the source check of uplinks is not strict: forged addresses of a LAN may come in by them",
			Remedy:  s.strictRemedy()})
	}
	if s.RPFilterDrops > 0 {
		all = append(all, Finding{ID: "rp-filter-refused", Severity: Note, Evidence: []string{fmt.Sprintf("IPReversePathFilter %d", s.RPFilterDrops)},
			Message: fmt.Sprintf("the source check has refused %d packets since boot", s.RPFilterDrops),
			Remedy:  "see whether it grows while replies are missing: nstat -z TcpExtIPReversePathFilter; which: sysctl -w net.ipv4.conf.all.log_martians=1"})
	}
	return all
}

// strictRemedy is how the uplinks' source check becomes strict, which replypath is made for. What all has counts where it is
// the larger, for every link: it is taken away, as strict there could cut somebody off.
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

// checkSrcValidMark tells that the source check of every link goes by marks, of whomever. Putting it back cannot cut anybody
// off where no link checks.
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
		Message: "the source check of every link goes by marks, also those of other programs (wg-quick sets this, and old versions of Tailscale)",
		Remedy:  "set it on the links that need it and not on all: sysctl -w net.ipv4.conf.all.src_valid_mark=0"}
	if file := s.SysctlFiles[all]; file != "" {
		f.Remedy += "; and take it out of " + file
	}
	return []Finding{f}
}

// checkFirewallSourceCheck tells of source checks of the firewall that do not see our marks.
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
		Message: "the firewall checks sources without our marks: it refuses what is asked by an uplink that main does not answer by",
		Remedy:  "delete those rules and use sysctl rp_filter=1; or check in mangle behind ours, with --validmark (nft: fib saddr . mark . iif, priority above -150)"}}
}

// matchesUplink reports whether a rule that is limited to such links, as iptables writes them, holds for an uplink.
func (s Snapshot) matchesUplink(links string) bool {
	start, some := strings.CutSuffix(links, "+")
	return links == "" || slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool {
		return u.Link == links || some && strings.HasPrefix(u.Link, start)
	})
}
