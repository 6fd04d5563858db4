package doctor

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

// backends tells that both iptables backends hold rules.
func (s Seen) backends() []Finding {
	if !s.Facts.Both {
		return nil
	}
	return []Finding{{ID: "iptables-both", Severity: Warning, Evidence: some(s.byTool()),
		What:   fmt.Sprintf("both iptables backends hold rules of other programs; ours go to %s", s.Facts.Tools[uplinks.IPv4].Backend),
		Remedy: `move the others to one backend (update-alternatives --config iptables), or choose with backend = "nft" or "legacy"`}}
}

// byTool is one rule of each kind of listing.
func (s Seen) byTool() (lines []string) {
	told := map[string]bool{}
	for _, f := range s.Firewall {
		if !told[f.Tool] {
			told[f.Tool] = true
			lines = append(lines, place(f))
		}
	}
	return lines
}

// those gives the rules of which this is so.
func (s Seen) those(is func(marks.Foreign) bool) (lines []string) {
	for _, f := range s.Firewall {
		if is(f) {
			lines = append(lines, place(f))
		}
	}
	return lines
}

func (s Seen) untracked() []Finding {
	lines := s.those(func(f marks.Foreign) bool { return f.Untracks && f.In != "lo" && f.Out != "lo" })
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "notrack", Severity: Warning, Evidence: some(lines),
		What:   "packets go untracked: they have no connection, so no mark, and their forwarded replies leave by main's default",
		Remedy: "delete those rules, or limit them to what the host sends to itself: -i lo, -o lo (nft: iifname lo, oifname lo)"}}
}

func (s Seen) offload() []Finding {
	lines := s.those(func(f marks.Foreign) bool { return f.Offloads })
	if len(lines) == 0 {
		return nil
	}
	return []Finding{{ID: "flow-offload", Severity: Note, Evidence: some(lines),
		What:   "established connections may be offloaded: their packets pass by the chains and rules; replies go by their uplink, but are not counted",
		Remedy: fmt.Sprintf("nothing; to have them counted, keep connections with a mark out: ct mark & 0x%x == 0 before flow add", uint32(s.Settings.Mask))}}
}

// The shares of the table at which it is nearly full, and at which new connections are about to be refused.
const (
	nearly = 0.80
	full   = 0.95
)

// connections tells that the table of connections is nearly full: what finds no place is dropped.
func (s Seen) connections() []Finding {
	if s.Room == 0 || float64(s.Tracked) < nearly*float64(s.Room) {
		return nil
	}
	f := Finding{ID: "conntrack-full", Severity: Warning, Evidence: []string{fmt.Sprintf("nf_conntrack_count = %d, nf_conntrack_max = %d", s.Tracked, s.Room)},
		What:   "the table of connections is nearly full; when it is, new connections are dropped",
		Remedy: fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, in the host's first network namespace and in a file of /etc/sysctl.d", 2*s.Room)}
	if float64(s.Tracked) >= full*float64(s.Room) {
		f.Severity = Error
	}
	return []Finding{f}
}

// savedRules tells of files that put our chains back as they were saved, or wrongly.
func (s Seen) savedRules() (all []Finding) {
	for _, r := range s.Saved {
		when := "when it is loaded"
		if r.AtBoot {
			when = "at every boot"
		}
		f := Finding{ID: "saved-ruleset", Severity: Note, Evidence: some(r.Lines),
			What:   fmt.Sprintf("%s holds chains of replypath's, which come back %s as they were when they were saved", r.Path, when),
			Remedy: "save the firewall without them: replypath flush, save, replypath apply"}
		if r.Native {
			f.Severity = Warning
			f.What = fmt.Sprintf("%s copies marks without a mask, %s: nft lists CONNMARK rules of iptables so, and loaded again they wipe every mark", r.Path, when)
			f.Remedy = "take the tables of iptables out of that file (table ip mangle, table ip6 mangle), or those rules"
		}
		all = append(all, f)
	}
	return all
}

// networkd tells that systemd-networkd would delete ours.
func (s Seen) networkd() []Finding {
	if !s.Networkd.Active || s.Networkd.Keeps {
		return nil
	}
	// A file of that name that says something else is somebody's.
	there := slices.ContainsFunc(s.Networkd.Says, func(line string) bool { return strings.HasPrefix(line, DropIn) })
	return []Finding{{ID: "networkd-foreign", Severity: Warning, Fixable: !there,
		Evidence: append([]string{s.Networkd.Why}, s.Networkd.Says...),
		What:     "systemd-networkd deletes the rules and routes of others when it starts, and when a link loses its carrier",
		Remedy:   "tell it not to: ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no under [Network] in " + DropIn}}
}

// DropIn is the file that tells systemd-networkd so.
const DropIn = "/etc/systemd/networkd.conf.d/replypath.conf"
