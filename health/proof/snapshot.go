package proof

import (
	"fmt"

	"replypath/health"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Snapshot is the state of the host that verdicts are explained by. All but Facts may be missing: verdicts then lack the object
// that is the cause.
type Snapshot struct {
	Facts     uplinks.Facts
	Databases map[uplinks.Family]*rpdb.Database // with the routes to the peers and to the LAN hosts
	Firewall  []foreign.Rule                    // the rules of other programs
	// FirewallRead reports that Firewall is complete.
	FirewallRead bool
	Servers      []Server                   // the sockets of this host
	Values       map[uplinks.Tunable]string // of Sysctls
	SetBy        map[uplinks.Tunable]string // the file that sets the value at boot, where there is one
	Names        rpdb.Names
}

// Server is a socket that is bound to a port, with the user that it belongs to.
type Server struct {
	uplinks.Listener
	Proto uint8 // IPPROTO_*
	UID   uint32
}

// sysctl returns the sysctl with its value and the file that sets it.
func (s Snapshot) sysctl(t uplinks.Tunable) string {
	text := fmt.Sprintf("%s = %s", t, s.Values[t])
	if file := s.SetBy[t]; file != "" {
		text += fmt.Sprintf(" (set in %s)", file)
	}
	return text
}

// linkName returns the name of the interface with that index.
func (s Snapshot) linkName(index int) string {
	if name, found := s.Facts.LinkName(index); found {
		return name
	}
	return fmt.Sprintf("interface %d", index)
}

// Sysctls returns the sysctls that a Snapshot for these paths needs.
func Sysctls(paths []health.Path) []uplinks.Tunable {
	all := []uplinks.Tunable{echoIgnored[uplinks.IPv4], echoIgnored[uplinks.IPv6], uplinks.NeighbourLimit(uplinks.IPv4), uplinks.NeighbourLimit(uplinks.IPv6), rpFilter("all"), srcValidMark("all")}
	for _, p := range paths {
		all = append(all, forwarding(p), initialTTL(p))
		if p.Family == uplinks.IPv4 {
			all = append(all, rpFilter(p.Link), srcValidMark(p.Link))
		}
	}
	return all
}

var echoIgnored = map[uplinks.Family]uplinks.Tunable{
	uplinks.IPv4: {Name: "net.ipv4.icmp_echo_ignore_all"},
	uplinks.IPv6: {Name: "net.ipv6.icmp.echo_ignore_all"},
}

// forwarding returns the sysctl by which the kernel forwards what comes in by the path.
func forwarding(p health.Path) uplinks.Tunable {
	if p.Family == uplinks.IPv6 {
		return uplinks.Tunable{Link: "all", Name: "net.ipv6.conf.*.forwarding"}
	}
	return uplinks.Tunable{Link: p.Link, Name: "net.ipv4.conf.*.forwarding"}
}

func rpFilter(link string) uplinks.Tunable {
	return uplinks.Tunable{Link: link, Name: "net.ipv4.conf.*.rp_filter"}
}

func srcValidMark(link string) uplinks.Tunable {
	return uplinks.Tunable{Link: link, Name: uplinks.SrcValidMark}
}

// strictRPFilter reports whether the source check of the interface is strict: the larger of its value and that of all applies.
func (s Snapshot) strictRPFilter(link string) bool {
	return max(s.Values[rpFilter("all")], s.Values[rpFilter(link)]) == "1"
}
