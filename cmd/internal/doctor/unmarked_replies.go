package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// This file reports replies that belong to no connection with a mark.

// matchesLink reports whether a rule that is limited to a link, in the syntax of iptables, matches this one.
func matchesLink(limit, link string) bool {
	prefix, isPrefix := strings.CutSuffix(limit, "+")
	return limit == "" || limit == link || isPrefix && strings.HasPrefix(link, prefix)
}

// checkStatelessTranslation reports prefixes that are translated without connection tracking (NPTv6): conntrack takes a
// reply from inside for a new connection, which has no mark.
func (s Snapshot) checkStatelessTranslation() (all []Finding) {
	for _, u := range s.nonDefaultUplinks(uplinks.IPv6) {
		lines := map[netip.Prefix][]string{}
		var inside []netip.Prefix
		for _, f := range s.Firewall {
			n := f.Stateless
			if !n.Inside.IsValid() || !s.translatesOn(f, u) || s.hasSourceRule(n.Inside, s.Settings.Table(u)) {
				continue
			}
			if lines[n.Inside] == nil {
				inside = append(inside, n.Inside)
			}
			lines[n.Inside] = append(lines[n.Inside], firewallRuleText(f))
		}
		for _, p := range inside {
			all = append(all, Finding{ID: "stateless-translation", Severity: Warning, Evidence: limitEvidence(lines[p]),
				Message: fmt.Sprintf("%s is translated without connection tracking on %s (NPTv6): a reply from there belongs to no connection with a mark and leaves by main", p, u.Link),
				Remedy:  s.sourceRules(uplinks.IPv6, p.String(), s.Settings.Table(u).String())})
		}
	}
	return all
}

// translatesOn reports whether a stateless translation concerns what passes by the uplink: it names the link or, where it
// names none, translates to an address of the uplink's networks.
func (s Snapshot) translatesOn(f foreign.Rule, u uplinks.Uplink) bool {
	if f.In != "" || f.Out != "" {
		return matchesLink(f.In, u.Link) && matchesLink(f.Out, u.Link)
	}
	for n := range s.Facts.Links[u.Link].Networks() {
		if n.Overlaps(f.Stateless.Outside) {
			return true
		}
	}
	return false
}

// hasSourceRule reports whether a rule of another program sends what comes from the prefix to the table.
func (s Snapshot) hasSourceRule(p netip.Prefix, table uplinks.Table) bool {
	return slices.ContainsFunc(s.Facts.ForeignRules, func(r uplinks.Rule) bool {
		return !r.Not && r.Action == uplinks.Lookup && r.Table == table && r.From.IsValid() && r.From.Bits() <= p.Bits() && r.From.Contains(p.Addr())
	})
}

// sourceRules returns the commands that send what comes from a prefix to a table, except what main has a route to inside.
// The rules follow those of replypath, which decide for marked packets.
func (s Snapshot) sourceRules(family uplinks.Family, from, table string) string {
	used := map[uplinks.Priority]bool{}
	for _, r := range s.Facts.ForeignRules {
		used[r.Priority] = used[r.Priority] || r.Family == family
	}
	first := s.Settings.Priority + uplinks.BlockSize
	for used[first] || used[first+1] {
		first++
	}
	ip := family.IPCommand()
	return fmt.Sprintf("%s rule add from %s lookup main suppress_prefixlength 0 priority %d; %s rule add from %s lookup %s priority %d",
		ip, from, first, ip, from, table, first+1)
}

// checkNotrack reports rules that disable connection tracking.
func (s Snapshot) checkNotrack() (all []Finding) {
	proxies := map[string]bool{}  // tools with a rule of SYNPROXY
	forwards := map[string]bool{} // one of them may concern hosts behind this one
	for _, f := range s.Firewall {
		proxies[f.Tool] = proxies[f.Tool] || f.SYNProxy
		forwards[f.Tool] = forwards[f.Tool] || f.SYNProxy && f.Hook != "INPUT"
	}
	var plain, local, forwarded []string
	for _, f := range s.Firewall {
		switch {
		case !f.NoTrack || f.In == "lo" || f.Out == "lo":
		case !proxies[f.Tool] || !mayBeSYN(f):
			plain = append(plain, firewallRuleText(f))
		case forwards[f.Tool]:
			forwarded = append(forwarded, firewallRuleText(f))
		default:
			local = append(local, firewallRuleText(f))
		}
	}
	if len(plain) > 0 {
		all = append(all, Finding{ID: "notrack", Severity: Warning, Evidence: limitEvidence(plain),
			Message: "firewall rules disable connection tracking (NOTRACK): untracked packets have no mark, and their forwarded replies leave by the default route of table main",
			Remedy:  "delete those rules, or restrict them to the loopback interface: -i lo, -o lo (nft: iifname lo, oifname lo)"})
	}
	if len(local) > 0 {
		all = append(all, Finding{ID: "notrack", Severity: Note, Evidence: limitEvidence(local),
			Message: "requests for TCP connections are not tracked until SYNPROXY has answered them: its answers have no mark, and leave by the uplink of their source address",
			Remedy:  "none needed"})
	}
	if len(forwarded) > 0 {
		all = append(all, Finding{ID: "notrack", Severity: Warning, Evidence: limitEvidence(forwarded),
			Message: "requests for TCP connections are not tracked until SYNPROXY has answered them: its answers have no mark; those in the name of hosts behind this one leave by main",
			Remedy:  s.proxyRules()})
	}
	return all
}

// mayBeSYN reports whether a rule without tracking may be one for SYNPROXY: of nft's rules not all conditions are known.
func mayBeSYN(f foreign.Rule) bool {
	return !strings.HasPrefix(f.Text, "-A ") || strings.Contains(f.Text, "--tcp-flags FIN,SYN,RST,ACK SYN")
}

// proxyRules returns the remedy for a SYNPROXY that answers in the name of hosts behind this one.
func (s Snapshot) proxyRules() string {
	var tables []string
	for _, u := range s.presentUplinks() {
		tables = append(tables, fmt.Sprintf("%s: %s", u.Name, s.Settings.Table(u)))
	}
	return fmt.Sprintf("for the networks that an uplink brings in, without translation, to such hosts: %s; TABLE is that of the uplink (%s)",
		s.sourceRules(uplinks.IPv4, "PREFIX", "TABLE"), strings.Join(tables, ", "))
}

const routeLocalnet = "net.ipv4.conf.*.route_localnet"

// checkLoopbackDNAT reports datagrams that are translated to 127.0.0.0/8. The kernel looks up a route for the reply before it
// has a mark, and refuses the loopback address as the source where main's link has no route_localnet (net/ipv4/route.c,
// __mkroute_output). TCP looks up with the mark of the connection (tcp_fwmark_accept).
func (s Snapshot) checkLoopbackDNAT() []Finding {
	main := s.mainDefaultLink(uplinks.IPv4)
	if value, _ := s.effective(main, routeLocalnet); main != "" && value != "0" {
		return nil
	}
	var links, lines []string
	for _, u := range s.nonDefaultUplinks(uplinks.IPv4) {
		if value, _ := s.effective(u.Link, routeLocalnet); value != "1" {
			continue
		}
		rules := s.firewallRules(func(f foreign.Rule) bool { return f.LoopbackDNAT && matchesLink(f.In, u.Link) })
		if len(rules) > 0 {
			links, lines = append(links, u.Link), append(lines, rules...)
		}
	}
	if len(links) == 0 {
		return nil
	}
	slices.Sort(lines)
	f := Finding{ID: "localnet", Severity: Warning, Evidence: limitEvidence(slices.Compact(lines)),
		Message: fmt.Sprintf("datagrams that come in by %s and that DNAT sends to 127.0.0.0/8 are not answered: for the reply the kernel first looks up main, which has no default route (ENETUNREACH)", commaList(links)),
		Remedy:  "give main a default route, and its link route_localnet; or let the server listen on an address of this host, and DNAT there"}
	if main != "" {
		f.Evidence = append(f.Evidence, s.sysctlLine(uplinks.Tunable{Link: main, Name: routeLocalnet}))
		f.Message = fmt.Sprintf("datagrams that come in by %s and that DNAT sends to 127.0.0.0/8 are not answered: for the reply the kernel first looks up main, whose default link %s has no route_localnet (EINVAL)", commaList(links), main)
		f.Remedy = fmt.Sprintf("%s; %s; or let the server listen on an address of this host, and DNAT there",
			uplinks.SetTunable{Tunable: uplinks.Tunable{Link: main, Name: routeLocalnet}, Value: "1"}, dropLoopback(s.Facts.Firewalls[uplinks.IPv4], main))
	}
	return []Finding{f}
}

// dropLoopback returns the command that drops what comes in by a link for loopback addresses.
func dropLoopback(firewall uplinks.FirewallKey, link string) string {
	if firewall.Backend == marks.Nftables {
		return fmt.Sprintf("nft 'add table ip loopback; add chain ip loopback pre { type filter hook prerouting priority raw; }; add rule ip loopback pre iifname %q ip daddr 127.0.0.0/8 drop'", link)
	}
	return fmt.Sprintf("%s -t raw -A PREROUTING -i %s -d 127.0.0.0/8 -j DROP", firewall.Command, link)
}
