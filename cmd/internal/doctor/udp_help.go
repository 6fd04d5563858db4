package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"replypath/uplinks"
)

// UDPHelper tells whether wildcard sockets of a process reply from the address that was asked, by the programs of [udp].
type UDPHelper interface {
	Helps(pid int, asked netip.Addr) bool
}

// isHelped reports whether the programs of [udp] help the server at all addresses of non-default uplinks.
func (s Snapshot) isHelped(v UDPServer, families []uplinks.Family) bool {
	if s.UDPHelp == nil || v.Peer.IsValid() {
		return false
	}
	for _, f := range families {
		for _, u := range s.nonDefaultUplinks(f) {
			for _, a := range s.Facts.Links[u.Link].Addrs {
				ip := a.Prefix.Addr()
				if uplinks.FamilyOf(ip) == f && !a.LinkLocal && v.servesFamily(f) && !s.UDPHelp.Helps(v.PID, ip) {
					return false
				}
			}
		}
	}
	return true
}

// helpedServer returns the note on a server that replies rightly by the programs of [udp].
func helpedServer(v UDPServer) Finding {
	return Finding{ID: "udp-server-helped", Severity: Note, Evidence: []string{v.String()},
		Message: fmt.Sprintf("%s on UDP port %d does not choose the address of its replies; it is helped by [udp]: they leave from the address that was asked", v.Process, v.Port),
		Remedy:  "none needed"}
}

// SuspectUDPServers returns the known servers that reply from a wrong address, each as process and port.
func SuspectUDPServers(s Snapshot) (all []string) {
	families := s.affectedFamilies()
	for _, v := range s.suspectServers(families) {
		if text := fmt.Sprintf("%s on UDP port %d", v.Process, v.Port); v.PktInfoKnown && !v.PktInfo && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}
