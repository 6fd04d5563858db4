package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/marks/dnat"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

// serverRemedies maps the command of well-known servers to the configuration that makes them reply from the address that
// received the request.
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

// nonServers are clients, and daemons that only receive multicast or one-way messages.
var nonServers = []string{"dhclient", "dhcpcd", "udhcpc", "systemd-network", "systemd-resolve", "NetworkManager", "avahi-daemon", "rsyslogd", "syslogd", "odhcp6c"}

// checkUDPServers reports servers on the wildcard address without IP_PKTINFO: the kernel chooses the source address of their
// replies, that of the default uplink.
func (s Snapshot) checkUDPServers() (all []Finding) {
	families := s.affectedFamilies()
	if len(families) == 0 {
		return nil
	}
	unknown := Finding{ID: "udp-server-unknown", Severity: Note,
		Message: "UDP servers listen on the wildcard address, and it is unknown whether they reply from the address that received the request",
		Remedy:  "run replypath doctor as root (CAP_SYS_PTRACE), or add the service to prove = [...] and run replypath verify"}
	for _, server := range s.suspectServers(families) {
		switch {
		case server.PktInfoKnown && server.PktInfo:
		case s.isHelped(server, families):
			all = append(all, helpedServer(server))
		case server.PktInfoKnown:
			all = append(all, Finding{ID: "udp-server", Severity: Warning, Evidence: []string{server.String()},
				Message: fmt.Sprintf("%s on UDP port %d replies from the address of %s, whichever address received the request", server.Process, server.Port, s.defaultLinks(families)),
				Remedy:  server.remedy(s.uplinkAddresses()) + s.helpRemedy(server)})
		default:
			unknown.Evidence = append(unknown.Evidence, server.String())
		}
	}
	if len(unknown.Evidence) > 0 {
		all = append(all, unknown)
	}
	return all
}

// helpRemedy returns the other remedy, which works for any server with unconnected sockets.
func (s Snapshot) helpRemedy(v UDPServer) string {
	if s.Settings.UDP != nil || v.Peer.IsValid() {
		return ""
	}
	return `; or have all such servers helped: answer = "asked" in [udp]`
}

// affectedFamilies returns the families with an uplink other than the default of table main.
func (s Snapshot) affectedFamilies() (all []uplinks.Family) {
	for _, f := range uplinks.Families {
		if len(s.nonDefaultUplinks(f)) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// suspectServers returns the servers that may reply from a wrong address, each process and port once.
func (s Snapshot) suspectServers(families []uplinks.Family) (all []UDPServer) {
	for _, server := range s.Sockets {
		if server.Requested.IsValid() && !slices.ContainsFunc(all, func(o UDPServer) bool { return o.Port == server.Port && o.Process == server.Process }) {
			all = append(all, server)
		}
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

// isShadowed reports whether other sockets are bound to all addresses of non-default uplinks: the kernel delivers requests to
// the socket with the more specific address.
func (s Snapshot) isShadowed(v UDPServer, families []uplinks.Family) bool {
	for _, f := range families {
		for _, u := range s.nonDefaultUplinks(f) {
			for _, a := range s.Facts.Links[u.Link].Addrs {
				ip := a.Prefix.Addr()
				bound := func(o UDPServer) bool { return o.Port == v.Port && !o.Peer.IsValid() && o.Addr.Unmap() == ip }
				if uplinks.FamilyOf(ip) == f && !a.LinkLocal && v.servesFamily(f) && !slices.ContainsFunc(s.Sockets, bound) && !s.isTakenAway(u.Link, ip, v.Port) {
					return false
				}
			}
		}
	}
	return true
}

// isTakenAway reports whether DNAT takes the datagrams that come in by the link for the address and the port, before a socket
// receives them.
func (s Snapshot) isTakenAway(link string, to netip.Addr, port uint16) bool {
	ofHost := func(a netip.Addr) bool {
		return a.IsLoopback() || s.linkOf(a) != ""
	}
	return s.DNAT.TakesAway(dnat.Request{Proto: unix.IPPROTO_UDP, To: to, Port: port, Link: link, LinkID: s.Facts.Links[link].Index, IsOfHost: ofHost})
}

// linkOf returns the link that has the address, or "".
func (s Snapshot) linkOf(a netip.Addr) string {
	for name, l := range s.Facts.Links {
		if slices.ContainsFunc(l.Addrs, func(own uplinks.Addr) bool { return own.Prefix.Addr() == a }) {
			return name
		}
	}
	return ""
}

// servesFamily reports whether the socket receives requests of the family to any address of the host.
func (v UDPServer) servesFamily(f uplinks.Family) bool {
	return v.Link == 0 && !v.Peer.IsValid() && v.Addr.IsUnspecified() && v.Accepts(f.DefaultPrefix().Addr(), 0)
}

// defaultLinks returns the links whose addresses the kernel chooses, for use in a sentence.
func (s Snapshot) defaultLinks(families []uplinks.Family) string {
	var links []string
	for _, f := range families {
		if link := s.mainDefaultLink(f); link != "" {
			links = append(links, link)
		}
	}
	if len(links) == 0 {
		return "another uplink, or not at all"
	}
	return commaList(unique(links))
}

// uplinkAddresses returns the uplinks' addresses, which servers should bind to.
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

// String formats the socket and its process.
func (v UDPServer) String() string {
	at := fmt.Sprintf("udp %s port %d", v.Addr, v.Port)
	if v.Peer.IsValid() {
		at += fmt.Sprintf(" connected to %s, which requested %s", v.Peer, v.Requested)
	}
	switch {
	case v.Process == "":
		return at + ": unknown process"
	case v.PktInfoKnown && !v.PktInfo && !v.Peer.IsValid():
		return fmt.Sprintf("%s: %s (process %d), without IP_PKTINFO", at, v.Process, v.PID)
	}
	return fmt.Sprintf("%s: %s (process %d)", at, v.Process, v.PID)
}

// ServerRemedy returns the configuration that makes a well-known server reply from the address that received the request, or
// "" if the server is unknown.
func ServerRemedy(process string) string { return serverRemedies[process] }

func (v UDPServer) remedy(addresses []string) string {
	if known := ServerRemedy(v.Process); known != "" {
		return known + " (" + commaList(addresses) + ")"
	}
	return fmt.Sprintf("bind it to each address (%s), or use IP_PKTINFO to reply from the address that received the request", commaList(addresses))
}

// tunnelKinds are the kinds of links with a UDP socket of the kernel.
var tunnelKinds = []string{"wireguard", "vxlan", "geneve", "gtp", "bareudp", "l2tpeth", "ovpn"}

// linksOfKind returns the names of the links of these kinds, sorted.
func (s Snapshot) linksOfKind(kinds ...string) (links []string) {
	for name, n := range s.LinkAttrs {
		if slices.Contains(kinds, n.Kind) {
			links = append(links, name)
		}
	}
	slices.Sort(links)
	return links
}

// isTunnelSocket reports whether the socket belongs to a tunnel of the kernel. Without a tunnel its process is only hidden, as
// from inside a container.
func (s Snapshot) isTunnelSocket(v UDPServer) bool {
	return v.KernelOwned && len(s.linksOfKind(tunnelKinds...)) > 0
}

// checkKernelListeners reports UDP sockets of tunnels of the kernel.
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
		Message: fmt.Sprintf("the kernel listens on the wildcard address for tunnels (%s)", commaList(open)),
		Remedy:  "give the tunnel a local address: ip link add ... local ADDRESS"}
	if links := s.linksOfKind("wireguard"); len(links) > 0 {
		f.ID, f.Message = "wireguard-listener", fmt.Sprintf("the kernel listens on the wildcard address for WireGuard (%s)", commaList(links))
		f.Remedy = "none needed: WireGuard replies from the address that received the packet"
	}
	return []Finding{f}
}
