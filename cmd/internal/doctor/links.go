package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/uplinks"
)

const (
	arpIgnore   = "net.ipv4.conf.*.arp_ignore"
	arpAnnounce = "net.ipv4.conf.*.arp_announce"
	arpFilter   = "net.ipv4.conf.*.arp_filter"
)

// checkLinks tells of what uplinks have in common and should not, or should and have not.
func (s Snapshot) checkLinks() (all []Finding) {
	return slices.Concat(s.checkMTUs(), s.checkARPFlux(), s.checkGateways(), s.checkDuplicateAddresses())
}

func (s Snapshot) checkMTUs() []Finding {
	var lines []string
	var sizes []int
	for _, u := range s.presentUplinks() {
		mtu := s.LinkAttrs[u.Link].MTU
		lines = append(lines, fmt.Sprintf("%s: mtu %d", u.Link, mtu))
		sizes = append(sizes, mtu)
	}
	slices.Sort(sizes)
	if len(slices.Compact(sizes)) < 2 || s.clampsMSS(uplinks.IPv4) && s.clampsMSS(uplinks.IPv6) {
		return nil
	}
	return []Finding{{ID: "mtu-differs", Severity: Note, Evidence: lines,
		Message: "uplinks have different MTUs: what is forwarded learns the smaller one only by ICMP",
		Remedy:  "let ICMP \"fragmentation needed\" and \"packet too big\" pass, or clamp with iptables and with ip6tables: -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"}}
}

// clampsMSS reports whether the firewall lowers the MSS of the family's connections.
func (s Snapshot) clampsMSS(f uplinks.Family) bool {
	if f == uplinks.IPv6 && !s.Facts.IPv6 {
		return true
	}
	kinds := map[uplinks.Family][]string{uplinks.IPv4: {"iptables", "ip"}, uplinks.IPv6: {"ip6tables", "ip6"}}[f]
	return slices.ContainsFunc(s.Firewall, func(r marks.ForeignRule) bool {
		command, _, _ := strings.Cut(r.Tool, "-")
		table, _, _ := strings.Cut(r.Location, " ")
		return r.ClampsMSS && (command == kinds[0] || table == kinds[1] || table == "inet")
	})
}

// linkNetwork is a link's IPv4 network.
type linkNetwork struct {
	link   string
	prefix netip.Prefix
}

// checkARPFlux tells of two links in one network that both answer ARP for each other's addresses.
func (s Snapshot) checkARPFlux() (all []Finding) {
	var earlier []linkNetwork
	var names []string
	for name := range s.Facts.Links {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, a := range s.Facts.Links[name].Addrs {
			p := a.Prefix.Masked()
			if !p.Addr().Is4() || p.IsSingleIP() || p.Addr().IsLoopback() || a.LinkLocal {
				continue
			}
			now := linkNetwork{name, p}
			for _, before := range earlier {
				if before.link != name && before.prefix.Overlaps(p) && (s.answersForOtherLinks(name) || s.answersForOtherLinks(before.link)) {
					all = append(all, s.arpFluxFinding(before, now))
				}
			}
			earlier = append(earlier, now)
		}
	}
	return all
}

// answersForOtherLinks reports whether the link answers ARP for addresses of other links.
func (s Snapshot) answersForOtherLinks(link string) bool {
	ignore, _ := s.effective(link, arpIgnore)
	filter, _ := s.effective(link, arpFilter)
	return ignore == "0" && filter == "0"
}

func (s Snapshot) arpFluxFinding(a, b linkNetwork) Finding {
	var lines []string
	for _, n := range []linkNetwork{a, b} {
		_, by := s.effective(n.link, arpIgnore)
		lines = append(lines, fmt.Sprintf("%s has an address in %s; %s", n.link, n.prefix, s.sysctlLine(by)))
	}
	return Finding{ID: "arp-flux", Severity: Warning, Evidence: lines,
		Message: fmt.Sprintf("%s and %s are in one network, and each answers ARP for the other's address: questions may come in by the wrong one", a.link, b.link),
		Remedy: fmt.Sprintf("sysctl -w %s=1 %s=2 %s=1 %s=2", uplinks.Tunable{Link: a.link, Name: arpIgnore}, uplinks.Tunable{Link: a.link, Name: arpAnnounce},
			uplinks.Tunable{Link: b.link, Name: arpIgnore}, uplinks.Tunable{Link: b.link, Name: arpAnnounce})}
}

// checkGateways tells of uplinks whose gateways have one address.
func (s Snapshot) checkGateways() (all []Finding) {
	for _, f := range uplinks.Families {
		of := map[netip.Addr][]string{}
		for _, u := range s.presentUplinks() {
			hop, known := s.Facts.Links[u.Link].NextHop(u.Gateway(f), f)
			if known && hop.Gateway.IsValid() && !hop.Gateway.IsLinkLocalUnicast() {
				of[hop.Gateway] = append(of[hop.Gateway], u.Link)
			}
		}
		for _, gateway := range slices.SortedFunc(maps.Keys(of), netip.Addr.Compare) {
			if links := of[gateway]; len(links) > 1 {
				all = append(all, Finding{ID: "same-gateway", Severity: Note, Evidence: []string{fmt.Sprintf("via %s dev %s", gateway, commaList(links))},
					Message: fmt.Sprintf("the gateways of %s have the same address", commaList(links)),
					Remedy:  "nothing when they are different routers; when it is one router on one network, one uplink is enough"})
			}
		}
	}
	return all
}

// checkDuplicateAddresses tells of an address that two uplinks have: of its rules the first one wins. Answers have marks, and go by
// the right one.
func (s Snapshot) checkDuplicateAddresses() (all []Finding) {
	of := map[netip.Addr][]string{}
	for _, u := range s.presentUplinks() {
		for _, a := range s.Facts.Links[u.Link].Addrs {
			if ip := a.Prefix.Addr(); !ip.IsLinkLocalUnicast() {
				of[ip] = append(of[ip], u.Link)
			}
		}
	}
	for _, ip := range slices.SortedFunc(maps.Keys(of), netip.Addr.Compare) {
		if links := of[ip]; len(links) > 1 {
			all = append(all, Finding{ID: "same-address", Severity: Warning, Evidence: []string{fmt.Sprintf("%s on %s", ip, commaList(links))},
				Message: fmt.Sprintf("%s have the same address: what the host itself begins from it goes by %s alone", commaList(links), links[0]),
				Remedy:  "give one of the networks other addresses, at its router"})
		}
	}
	return all
}
