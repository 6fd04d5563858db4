package doctor

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks/foreign"
	"replypath/uplinks"
)

const (
	arpIgnore   = "net.ipv4.conf.*.arp_ignore"
	arpAnnounce = "net.ipv4.conf.*.arp_announce"
	arpFilter   = "net.ipv4.conf.*.arp_filter"
)

// checkLinks compares the uplinks' links: MTUs, networks, gateways and addresses.
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
		Message: "uplinks have different MTUs: for forwarded connections path MTU discovery depends on ICMP",
		Remedy:  "allow ICMP \"fragmentation needed\" and ICMPv6 \"packet too big\", or clamp the MSS with iptables and ip6tables: -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"}}
}

// clampsMSS reports whether the firewall clamps the MSS of the family's connections.
func (s Snapshot) clampsMSS(f uplinks.Family) bool {
	if f == uplinks.IPv6 && !s.Facts.IPv6 {
		return true
	}
	kinds := map[uplinks.Family][]string{uplinks.IPv4: {"iptables", "ip"}, uplinks.IPv6: {"ip6tables", "ip6"}}[f]
	return slices.ContainsFunc(s.Firewall, func(r foreign.Rule) bool {
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

// checkARPFlux reports pairs of links in one network that answer ARP for each other's addresses.
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
		Message: fmt.Sprintf("%s and %s are in one network and answer ARP for each other's addresses: connections may come in by the wrong one", a.link, b.link),
		Remedy: fmt.Sprintf("sysctl -w %s=1 %s=2 %s=1 %s=2", uplinks.Tunable{Link: a.link, Name: arpIgnore}, uplinks.Tunable{Link: a.link, Name: arpAnnounce},
			uplinks.Tunable{Link: b.link, Name: arpIgnore}, uplinks.Tunable{Link: b.link, Name: arpAnnounce})}
}

// checkGateways reports gateways of different uplinks with the same address.
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
					Remedy:  "none needed for different routers; for one router on one network, configure one uplink"})
			}
		}
	}
	return all
}

// checkDuplicateAddresses reports an address on two uplinks: of its source rules the first one decides. Replies have a mark and
// are not affected.
func (s Snapshot) checkDuplicateAddresses() (all []Finding) {
	of := map[netip.Addr][]string{}
	for _, u := range s.presentUplinks() {
		for _, a := range s.Facts.Links[u.Link].Addrs {
			if ip := a.Prefix.Addr(); !ip.IsLinkLocalUnicast() && !slices.Contains(of[ip], u.Link) {
				of[ip] = append(of[ip], u.Link)
			}
		}
	}
	for _, ip := range slices.SortedFunc(maps.Keys(of), netip.Addr.Compare) {
		if links := of[ip]; len(links) > 1 {
			all = append(all, Finding{ID: "same-address", Severity: Warning, Evidence: []string{fmt.Sprintf("%s on %s", ip, commaList(links))},
				Message: fmt.Sprintf("%s have the same address: connections that the host opens from it leave by %s only", commaList(links), links[0]),
				Remedy:  "renumber one of the networks, at its router"})
		}
	}
	return all
}
