package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

// What a rule that translates sources selects by, and the address that it translates to, in the words of iptables and of nft(8).
var (
	sourceOption      = regexp.MustCompile(`(?:^|[^!] )-s (\S+)|ip6? saddr ([0-9a-f:./]+)`)
	destinationOption = regexp.MustCompile(`(?:^|[^!] )-d \S+|daddr [0-9a-f:]|fib`)
	otherLinkOption   = regexp.MustCompile(`! -o `)
	sourceTarget      = regexp.MustCompile(`(?:--to-source|snat to) \[?([0-9a-f:.]+)`)
)

// sourceNAT is a rule of another program that translates the sources of what leaves by some uplinks.
type sourceNAT struct {
	foreign.Rule
	text string
}

// sourceNATs returns the rules of the family that translate sources, in order.
func (s Snapshot) sourceNATs(f uplinks.Family) (all []sourceNAT) {
	for _, r := range s.Firewall {
		if r.TranslatesSource && isOfFamily(r, f) {
			all = append(all, sourceNAT{r, r.Text + " " + r.Selectors + " " + r.Via})
		}
	}
	return all
}

// source returns the network that the rule is limited to; ok is false when it is limited to none that is known.
func (r sourceNAT) source() (p netip.Prefix, ok bool) {
	found := sourceOption.FindStringSubmatch(r.text)
	if found == nil {
		return p, false
	}
	text := found[1] + found[2]
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil
}

// containers are the programs whose chains translate what containers and virtual machines send.
var containers = []string{"kube-proxy", "Calico", "Cilium", "flannel", "the AWS VPC CNI", "a CNI plugin", "Docker", "libvirt"}

// isGeneral reports whether the rule is for the traffic of uplinks as such: packets come to it from POSTROUTING, and it and what leads to
// it select neither by destinations or marks, nor what leaves by any but the links of containers.
func (r sourceNAT) isGeneral() bool {
	if r.Via != "" && (strings.Contains(r.Via, "mark") || slices.Contains(containers, firewallOwner(r.Rule))) {
		return false
	}
	return (r.Hook == "POSTROUTING" || r.Via != "") && r.MarkBits == 0 && !destinationOption.MatchString(r.text) && !otherLinkOption.MatchString(r.text)
}

// line returns the rule as its tool prints it.
func (r sourceNAT) line() string {
	if r.Backend == "" {
		return fmt.Sprintf("%s: %s: %s", r.Tool, r.Location, r.Selectors)
	}
	return firewallRuleText(r.Rule)
}

// deletion returns the command that deletes the rule.
func (r sourceNAT) deletion() string {
	if r.Backend != "" {
		return strings.TrimSuffix(r.Tool, "-save") + " -w -t nat " + strings.Replace(r.Text, "-A ", "-D ", 1)
	}
	return fmt.Sprintf("nft delete rule %s handle %d", r.Location, r.Handle)
}

// checkDoubledNAT reports rules of other programs that translate what masquerade of [outbound] translates: they come first. One
// to a fixed address gives it to what leaves by another uplink too.
func (s Snapshot) checkDoubledNAT() []Finding {
	note := Finding{ID: "doubled-nat", Severity: Note, Message: "rules of another program translate sources where masquerade of [outbound] does: theirs come first, and replypath's has nothing to do there",
		Remedy: "translate in one place: delete these rules, where they are saved too, or leave masquerade out of [outbound]"}
	wrong := Finding{ID: "doubled-nat", Severity: Warning, Message: "rules of another program, which come before masquerade of [outbound], translate sources to an address that is not in the networks of the uplink: its provider may drop what leaves by it",
		Remedy: "delete these rules, where they are saved too, as masquerade of [outbound] translates; or give each the interface for which its address is right (-o, oifname); if the provider routes the address, list its network in the uplink's prefixes: else the first packet of each connection is dropped where the network is inside"}
	for _, f := range s.Facts.Families() {
		if !s.Settings.Outbound.Enabled() || !s.Settings.Outbound.Masquerade.In(f) {
			continue
		}
		for _, r := range s.sourceNATs(f) {
			found := &note
			doubles := false
			for _, u := range s.presentUplinks() {
				if !r.isGeneral() || !matchesLink(r.Out, u.Link) {
					continue
				}
				doubles = true
				if to := sourceTarget.FindStringSubmatch(r.text); to != nil {
					if a, err := netip.ParseAddr(to[1]); err == nil && uplinks.FamilyOf(a) == f {
						if own, _ := s.Settings.OwnSource(s.Facts, s.Settings.Mark(u), a); !own {
							found = &wrong
						}
					}
				}
			}
			if line := r.line(); doubles && !slices.Contains(found.Evidence, line) {
				found.Evidence, found.Commands = append(found.Evidence, line), append(found.Commands, r.deletion())
			}
		}
	}
	return withEvidence(wrong, note)
}

// checkExemptions reports rules of other programs that take packets out of the address translation of iptables: masquerade
// translates them nevertheless. Rules for what leaves by other links than uplinks are none.
func (s Snapshot) checkExemptions() []Finding {
	note := Finding{ID: "nat-exemption", Severity: Note, Message: "rules of another program exempt packets from address translation, but what leaves by an uplink is translated nevertheless, as masquerade of [outbound] has a second table",
		Remedy: "translate such packets to their own source instead, before REPLYPATH-NAT: -j NETMAP --to NETWORK, with the network of -s, behind the same rule with -j MARK --set-xmark of a bit that nothing else uses; or list their network in the uplink's prefixes; if they leave by no uplink, there is nothing to do"}
	for _, r := range s.Firewall {
		byUplink := slices.ContainsFunc(s.presentUplinks(), func(u uplinks.Uplink) bool { return matchesLink(r.Out, u.Link) })
		f := map[bool]uplinks.Family{false: uplinks.IPv4, true: uplinks.IPv6}[r.IsIPv6()]
		if r.KeepsSource && byUplink && s.Settings.Outbound.Enabled() && s.Settings.Outbound.Masquerade.In(f) {
			note.Evidence = append(note.Evidence, firewallRuleText(r))
		}
	}
	return withEvidence(note)
}

// unrouted are networks that no provider routes: for private use (RFC 1918, RFC 4193), shared (RFC 6598), for benchmarks (RFC 2544).
var unrouted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("fc00::/7")}

// checkMissingNAT reports networks behind this host that a policy of [outbound] sends by an uplink, with addresses that no provider
// routes and that no rule translates there.
func (s Snapshot) checkMissingNAT() []Finding {
	missing := Finding{ID: "missing-nat", Severity: Warning, Message: "a policy of [outbound] sends connections of a network inside by an uplink on which no rule translates their sources, and no provider routes such addresses",
		Remedy: `set masquerade in [outbound] to "ipv4" or "both", or translate by rules of your own; if the provider routes the network, list it in the uplink's prefixes`}
	for _, f := range s.Facts.Families() {
		if s.Settings.Outbound.Masquerade.In(f) {
			continue
		}
		rules := s.sourceNATs(f)
		for _, inside := range s.unroutedNetworks(f) {
			for _, u := range s.policyUplinks(f) {
				translated := slices.ContainsFunc(rules, func(r sourceNAT) bool {
					source, limited := r.source()
					return matchesLink(r.Out, u.Link) && (!limited || source.Overlaps(inside.prefix))
				})
				if !translated {
					missing.Evidence = append(missing.Evidence, fmt.Sprintf("%s on %s by %s (%s)", inside.prefix, inside.link, u.Name, u.Link))
					missing.Commands = append(missing.Commands, s.masquerading(f, inside.prefix, u.Link))
				}
			}
		}
	}
	return withEvidence(missing)
}

// unroutedNetworks returns the networks of the family that no provider routes, on links that packets are forwarded from.
func (s Snapshot) unroutedNetworks(f uplinks.Family) (all []linkNetwork) {
	ofUplink := map[string]bool{"lo": true}
	for _, u := range s.Settings.Uplinks {
		ofUplink[u.Link] = true
	}
	forwarding := map[uplinks.Family]string{uplinks.IPv4: forwarding4, uplinks.IPv6: forwarding6}[f]
	for _, name := range slices.Sorted(maps.Keys(s.Facts.Links)) {
		if ofUplink[name] || s.Sysctls[uplinks.Tunable{Link: name, Name: forwarding}] != "1" {
			continue
		}
		for _, a := range s.Facts.Links[name].Addrs {
			p := a.Prefix.Masked()
			isUnrouted := slices.ContainsFunc(unrouted, func(u netip.Prefix) bool { return u.Contains(p.Addr()) })
			if isUnrouted && uplinks.FamilyOf(p.Addr()) == f && !p.IsSingleIP() && !s.takenByProvider(p) {
				all = append(all, linkNetwork{name, p})
			}
		}
	}
	return all
}

// takenByProvider reports whether the network is in the networks of an uplink, so that its packets leave by that one.
func (s Snapshot) takenByProvider(p netip.Prefix) bool {
	return slices.ContainsFunc(s.Settings.Uplinks, func(u uplinks.Uplink) bool {
		own, _ := s.Settings.OwnSource(s.Facts, s.Settings.Mark(u), p.Addr())
		return own
	})
}

// policyUplinks returns the present uplinks of the family that a policy may choose.
func (s Snapshot) policyUplinks(f uplinks.Family) []uplinks.Uplink {
	return slices.DeleteFunc(s.presentUplinks(), func(u uplinks.Uplink) bool {
		return !u.Manages(f) || !slices.ContainsFunc(s.Settings.Outbound.Policies, func(p uplinks.Policy) bool {
			return slices.ContainsFunc(p.Tiers, func(tier []uplinks.Member) bool {
				return slices.ContainsFunc(tier, func(m uplinks.Member) bool { return m.Uplink == u.Name })
			})
		})
	})
}

// masquerading returns the command that has the kernel translate the sources of a network on a link.
func (s Snapshot) masquerading(f uplinks.Family, from netip.Prefix, link string) string {
	firewall := s.Facts.Firewalls[f]
	if firewall.Backend != marks.Nftables && firewall.Command != "" {
		return fmt.Sprintf("%s -w -t nat -A POSTROUTING -s %s -o %s -j MASQUERADE", firewall.Command, from, link)
	}
	family := marks.NFTFamily(f == uplinks.IPv6)
	return fmt.Sprintf("nft 'add table %s nat; add chain %[1]s nat postrouting { type nat hook postrouting priority srcnat; }; add rule %[1]s nat postrouting %[1]s saddr %s oifname %q masquerade'", family, from, link)
}
