package proof

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// RequestKind is what a question asks for.
type RequestKind string

// The kinds of questions.
const (
	Echo     RequestKind = "echo"     // answered by the kernel
	Closed   RequestKind = "closed"   // a TCP port that nobody listens on: refused by the kernel
	Listener RequestKind = "listener" // a TCP port that somebody listens on
	Datagram RequestKind = "datagram" // UDP, answered by ourselves as a server would
	Service  RequestKind = "service"  // named by the operator; perhaps passed on to another host
)

// Request is made to arrive by a path's link.
type Request struct {
	Path  health.Path
	Kind  RequestKind
	Proto string         // icmp, tcp or udp
	From  netip.AddrPort // the port tells the questions of one asker apart; of an echo it is the identifier
	To    netip.AddrPort
}

// String says who is asked for what.
func (q Request) String() string {
	switch q.Kind {
	case Echo:
		return "echo to " + q.To.Addr().String()
	case Datagram:
		return "datagram to " + q.To.Addr().String()
	}
	return fmt.Sprintf("%s://%s (%s)", q.Proto, q.To, q.Kind)
}

// Host is what of the host questions are put to.
type Host struct {
	Facts     uplinks.Facts
	Listeners []uplinks.Listener
	Services  []health.ProofService
}

// Requests are those that show the path, in the order in which they should be put. Numbers begin after first and tell
// all questions of one asker apart, also when all paths have the same.
func Requests(paths []health.Path, t Host, peers map[health.Key]netip.Addr, first uint16) []Request {
	var all []Request
	number := first
	for _, p := range paths {
		peer, ok := peers[p.Key]
		if !ok {
			continue
		}
		for _, q := range t.requests(p) {
			number++
			q.Path, q.From = p, netip.AddrPortFrom(peer, number)
			all = append(all, q)
		}
	}
	return all
}

func (t Host) requests(p health.Path) []Request {
	at := func(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
	all := []Request{
		{Kind: Echo, Proto: "icmp", To: at(p.Source, 0)},
		{Kind: Closed, Proto: "tcp", To: at(p.Source, t.closedPort(p))},
		{Kind: Datagram, Proto: "udp", To: at(p.Source, 0)},
	}
	if port := t.listenerPort(p); port != 0 {
		all = append(all, Request{Kind: Listener, Proto: "tcp", To: at(p.Source, port)})
	}
	for _, a := range t.extraAddrs(p) {
		all = append(all, Request{Kind: Echo, Proto: "icmp", To: at(a, 0)})
	}
	for _, s := range t.Services {
		for _, a := range t.serviceAddrs(p, s) {
			all = append(all, Request{Kind: Service, Proto: s.Proto, To: at(a, s.Port)})
		}
	}
	return all
}

// maxExtraAddrs bounds how many more addresses of a link are asked at.
const maxExtraAddrs = 8

// extraAddrs are the link's addresses in the family, but for the first.
func (t Host) extraAddrs(p health.Path) (all []netip.Addr) {
	for _, a := range t.Facts.Links[p.Link].Addrs {
		ip := a.Prefix.Addr()
		if uplinks.FamilyOf(ip) == p.Family && ip != p.Source && !a.LinkLocal && !a.Tentative && !a.Temporary && len(all) < maxExtraAddrs {
			all = append(all, ip)
		}
	}
	return all
}

// serviceAddrs are those of the path's that the service has.
func (t Host) serviceAddrs(p health.Path, s health.ProofService) []netip.Addr {
	own := append([]netip.Addr{p.Source}, t.extraAddrs(p)...)
	switch {
	case s.Addr.IsValid() && (s.Uplink == "" || s.Uplink == p.Uplink) && (slices.Contains(own, s.Addr) || s.Uplink != "" && uplinks.FamilyOf(s.Addr) == p.Family):
		return []netip.Addr{s.Addr}
	case s.Addr.IsValid(), s.Uplink != "" && s.Uplink != p.Uplink:
		return nil
	}
	return own
}

// preferredPorts are the ports whose listeners firewalls let pass most often, and that say least of who knocks.
var preferredPorts = []uint16{443, 80, 25, 53, 22}

// listenerPort is the port of a listener; 0: nobody listens.
func (t Host) listenerPort(p health.Path) uint16 {
	var ports []uint16
	for _, l := range t.Listeners {
		if l.Accepts(p.Source, p.Index) {
			ports = append(ports, l.Port)
		}
	}
	if len(ports) == 0 {
		return 0
	}
	rank := func(port uint16) int {
		if i := slices.Index(preferredPorts, port); i >= 0 {
			return i
		}
		return len(preferredPorts)
	}
	return slices.MinFunc(ports, func(a, b uint16) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
}

// closedPort is a port that nobody listens on: that of tcpmux (RFC 1078), or the next one.
func (t Host) closedPort(p health.Path) uint16 {
	port := uint16(1)
	for slices.ContainsFunc(t.Listeners, func(l uplinks.Listener) bool { return l.Port == port && l.Accepts(p.Source, p.Index) }) {
		port++
	}
	return port
}
