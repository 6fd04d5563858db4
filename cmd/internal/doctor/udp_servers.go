package doctor

import (
	"fmt"
	"slices"

	"replypath/uplinks"
)

// serverRemedies are how well-known servers are told to answer from the address that they were asked at.
var serverRemedies = map[string]string{
	"unbound":    "in unbound.conf: interface-automatic: yes, or an interface: line for each address",
	"named":      "in named.conf: listen-on and listen-on-v6 with the addresses themselves, and interface-interval above 0",
	"dnsmasq":    "in dnsmasq.conf: bind-dynamic",
	"openvpn":    "in the server's configuration: multihome",
	"ntpd":       "in ntp.conf: interface listen ADDRESS for each address",
	"chronyd":    "in chrony.conf: bindaddress with the uplink's address",
	"coredns":    "in the Corefile: bind with the addresses",
	"snmpd":      "in snmpd.conf: agentAddress udp:ADDRESS:161 for each address",
	"iperf3":     "iperf3 -s -B ADDRESS, one for each address",
	"iperf":      "iperf -s -u -B ADDRESS, one for each address",
	"in.tftpd":   "tftpd --address ADDRESS:69, one for each address",
	"asterisk":   "in pjsip.conf: a transport with bind=ADDRESS for each address",
	"xl2tpd":     "in xl2tpd.conf: listen-addr = ADDRESS",
	"radiusd":    "in radiusd.conf: a listen section with ipaddr for each address",
	"turnserver": "in turnserver.conf: listening-ip for each address",
}

// nonServers are those that ask, or that only listen to what is sent to groups or said without an answer.
var nonServers = []string{"dhclient", "dhcpcd", "udhcpc", "systemd-network", "systemd-resolve", "NetworkManager", "avahi-daemon", "rsyslogd", "syslogd", "odhcp6c"}

// checkUDPServers tells of servers on the wildcard address that do not ask at which address they were asked: the kernel lets them
// answer from the default uplink's.
func (s Snapshot) checkUDPServers() (all []Finding) {
	families := s.affectedFamilies()
	if len(families) == 0 {
		return nil
	}
	unknown := Finding{ID: "udp-server-unknown", Severity: Note,
		Message: "UDP servers listen on the wildcard address, and it could not be seen whether they answer from the address they were asked at",
		Remedy:  "look again as root (CAP_SYS_PTRACE); or prove it with a service in prove = [...] and replypath verify"}
	for _, server := range s.suspectServers(families) {
		switch {
		case server.PktInfoKnown && server.PktInfo:
		case server.PktInfoKnown:
			all = append(all, Finding{ID: "udp-server", Severity: Warning, Evidence: []string{server.String()},
				Message: fmt.Sprintf("%s on UDP port %d answers from the address of %s, wherever it was asked", server.Process, server.Port, s.defaultLinks(families)),
				Remedy:  server.remedy(s.uplinkAddresses())})
		default:
			unknown.Evidence = append(unknown.Evidence, server.String())
		}
	}
	if len(unknown.Evidence) > 0 {
		all = append(all, unknown)
	}
	return all
}

// affectedFamilies are the families in which an uplink is not main's default.
func (s Snapshot) affectedFamilies() (all []uplinks.Family) {
	for _, f := range uplinks.Families {
		if len(s.nonDefaultUplinks(f)) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// suspectServers are those that may answer wrongly, each process and port once.
func (s Snapshot) suspectServers(families []uplinks.Family) (all []UDPServer) {
	for _, server := range s.Sockets {
		serves := slices.ContainsFunc(families, func(f uplinks.Family) bool { return server.servesFamily(f) })
		same := func(o UDPServer) bool {
			return o.Port == server.Port && o.PID == server.PID && o.Process == server.Process
		}
		if serves && !s.isTunnelSocket(server) && !slices.Contains(nonServers, server.Process) && !slices.ContainsFunc(all, same) && !s.isShadowed(server, families) {
			all = append(all, server)
		}
	}
	return all
}

// isShadowed reports whether other sockets are bound to all addresses by which questions come in that the server would
// answer wrongly: the kernel gives them to those.
func (s Snapshot) isShadowed(v UDPServer, families []uplinks.Family) bool {
	for _, f := range families {
		for _, u := range s.nonDefaultUplinks(f) {
			for _, a := range s.Facts.Links[u.Link].Addrs {
				ip := a.Prefix.Addr()
				bound := func(o UDPServer) bool { return o.Port == v.Port && o.Addr.Unmap() == ip }
				if uplinks.FamilyOf(ip) == f && !a.LinkLocal && v.servesFamily(f) && !slices.ContainsFunc(s.Sockets, bound) {
					return false
				}
			}
		}
	}
	return true
}

// servesFamily reports whether a question in that family to any address of the host reaches it.
func (v UDPServer) servesFamily(f uplinks.Family) bool {
	return v.Link == 0 && v.Addr.IsUnspecified() && v.Accepts(f.DefaultPrefix().Addr(), 0)
}

// defaultLinks names where answers would come from.
func (s Snapshot) defaultLinks(families []uplinks.Family) string {
	var links []string
	for _, f := range families {
		if link := s.mainDefaultLink(f); link != "" {
			links = append(links, link)
		}
	}
	if len(links) == 0 {
		return "another uplink, if at all"
	}
	return commaList(unique(links))
}

// uplinkAddresses are those that a server should be bound to.
func (s Snapshot) uplinkAddresses() (all []string) {
	for _, u := range s.presentUplinks() {
		for _, f := range uplinks.Families {
			if a := s.Facts.Links[u.Link].SourceAddr(f); a.IsValid() {
				all = append(all, a.String())
			}
		}
	}
	return all
}

// String is the socket and its process.
func (v UDPServer) String() string {
	at := fmt.Sprintf("udp %s port %d", v.Addr, v.Port)
	switch {
	case v.Process == "":
		return at + ": no process is seen"
	case v.PktInfoKnown && !v.PktInfo:
		return fmt.Sprintf("%s: %s (process %d), without IP_PKTINFO", at, v.Process, v.PID)
	}
	return fmt.Sprintf("%s: %s (process %d)", at, v.Process, v.PID)
}

// ServerRemedy is how a well-known server is told to answer from the address that it was asked at; empty: it is not known.
func ServerRemedy(process string) string { return serverRemedies[process] }

func (v UDPServer) remedy(addresses []string) string {
	if known := ServerRemedy(v.Process); known != "" {
		return known + " (" + commaList(addresses) + ")"
	}
	return fmt.Sprintf("bind it to the addresses themselves (%s), or let it answer from the address it was asked at (IP_PKTINFO)", commaList(addresses))
}

// tunnelKinds are links for which the kernel itself listens.
var tunnelKinds = []string{"wireguard", "vxlan", "geneve", "gtp", "bareudp", "l2tpeth", "ovpn"}

// linksOfKind gives the links of these kinds.
func (s Snapshot) linksOfKind(kinds ...string) (links []string) {
	for name, n := range s.LinkAttrs {
		if slices.Contains(kinds, n.Kind) {
			links = append(links, name)
		}
	}
	slices.Sort(links)
	return links
}

// isTunnelSocket reports whether the socket is the kernel's own. Where no link needs one, its process is hidden, as from a
// container.
func (s Snapshot) isTunnelSocket(v UDPServer) bool {
	return v.KernelOwned && len(s.linksOfKind(tunnelKinds...)) > 0
}

// checkKernelListeners tells of the kernel's own UDP sockets.
func (s Snapshot) checkKernelListeners() []Finding {
	var lines []string
	for _, server := range s.Sockets {
		if s.isTunnelSocket(server) && server.Addr.IsUnspecified() {
			lines = append(lines, server.String())
		}
	}
	open := slices.DeleteFunc(s.linksOfKind(tunnelKinds...), func(link string) bool { return s.LinkAttrs[link].FixedLocal })
	if len(lines) == 0 || len(open) == 0 {
		return nil
	}
	f := Finding{ID: "kernel-listener", Severity: Note, Evidence: limitEvidence(lines),
		Message: fmt.Sprintf("the kernel itself listens for tunnels (%s)", commaList(open)),
		Remedy:  "give the tunnel a local address: ip link add ... local ADDRESS"}
	if links := s.linksOfKind("wireguard"); len(links) > 0 {
		f.ID, f.Message = "wireguard-listener", fmt.Sprintf("the kernel itself listens for WireGuard (%s)", commaList(links))
		f.Remedy = "nothing: WireGuard answers from the address it was asked at"
	}
	return []Finding{f}
}
