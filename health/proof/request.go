package proof

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// RequestKind is the kind of an injected request.
type RequestKind string

// The kinds of requests, as verify --json prints them.
const (
	Echo     RequestKind = "echo"     // ICMP echo, replied to by the kernel
	Closed   RequestKind = "closed"   // a closed TCP port, reset by the kernel
	Listener RequestKind = "listener" // an open TCP port
	Datagram RequestKind = "datagram" // UDP, replied to by an ordinary socket of the prover
	Service  RequestKind = "service"  // configured by the operator; may be forwarded to another host
	Proxied  RequestKind = "proxied"  // what a transparent proxy takes; by UDP a socket of the prover replies in its place
	Inside   RequestKind = "inside"   // a host inside at its own address, without DNAT
)

// Request is a packet that is injected at the ingress of a path's interface.
type Request struct {
	Path  health.Path
	Kind  RequestKind
	Proto string         // icmp, tcp or udp
	From  netip.AddrPort // the peer; its port, the identifier of an echo, distinguishes its requests
	To    netip.AddrPort
	TOS   uint8  // of the reply to a datagram
	UID   uint32 // the owner of the socket that replies to a datagram; 0: that of the prover
	Found bool   // the service was found by a rule of DNAT, and is not configured
	// StandIn is the port of the prover's socket that answers a datagram in place of a server, which gets nothing; 0: none.
	StandIn uint16
	Proxy   Proxy // that is configured for it
}

// String returns what is requested, and from which address.
func (r Request) String() string {
	switch {
	case r.Kind == Inside && r.Proto == "icmp":
		return fmt.Sprintf("echo to %s (%s)", r.To.Addr(), r.Kind)
	case r.Kind == Echo:
		return "echo to " + r.To.Addr().String()
	case r.Kind == Datagram:
		return fmt.Sprintf("datagram to %s%s", r.To, r.selectors())
	}
	return fmt.Sprintf("%s://%s (%s)", r.Proto, r.To, r.Kind)
}

// selectors returns what rules select the reply by, for use in a sentence.
func (r Request) selectors() string {
	switch {
	case r.TOS != 0:
		return fmt.Sprintf(", answered with tos %#x", r.TOS)
	case r.UID != 0:
		return fmt.Sprintf(", answered by uid %d", r.UID)
	}
	return ""
}

// Host is the part of the host that requests are made for.
type Host struct {
	Facts     uplinks.Facts
	Listeners []uplinks.Listener
	Services  []health.ProofService
	// Selected are questions of a kind that rules of other programs select; Translated those for services behind DNAT.
	Selected   []Selected
	TOS        []uint8  // types of service that rules select
	UIDs       []uint32 // users that rules select
	Translated map[health.Key][]TranslatedService
	Inside     map[uplinks.Family][]netip.Addr // hosts inside that are asked at their own addresses
	Preferred  []uint16                        // the ports of listeners that should be asked first
	// Intercepts are those whose proxies take connections, which get the bit, each with one protocol.
	Intercepts   map[uplinks.Family][]uplinks.Intercept
	InterceptBit uint32
}

// Selected is a port of the host.
type Selected struct {
	Proto string // tcp or udp
	Port  uint16
}

// TranslatedService is a port of an address of the host that DNAT sends to another host.
type TranslatedService struct {
	Proto string // tcp or udp
	To    netip.AddrPort
}

// Requests returns the requests of each path that has a peer, in the order in which they should be injected. The peers' ports
// count up from first+1, so they distinguish all requests, also when the paths share a peer.
func Requests(paths []health.Path, h Host, peers map[health.Key]netip.Addr, first uint16) []Request {
	var all []Request
	number := first
	for _, p := range paths {
		peer, ok := peers[p.Key]
		if !ok {
			continue
		}
		for _, q := range h.addProxied(p, peer, h.requests(p)) {
			number++
			q.Path, q.From = p, netip.AddrPortFrom(peer, number)
			all = append(all, q)
		}
	}
	return all
}

func (h Host) requests(p health.Path) []Request {
	at := func(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
	all := []Request{
		{Kind: Echo, Proto: "icmp", To: at(p.Source, 0)},
		{Kind: Closed, Proto: "tcp", To: at(p.Source, h.closedPort(p))},
		{Kind: Datagram, Proto: "udp", To: at(p.Source, 0)},
	}
	for _, port := range h.listenerPorts(p) {
		all = append(all, Request{Kind: Listener, Proto: "tcp", To: at(p.Source, port)})
	}
	for _, a := range h.extraAddrs(p) {
		all = append(all, Request{Kind: Echo, Proto: "icmp", To: at(a, 0)})
	}
	for _, s := range h.Services {
		for _, a := range h.serviceAddrs(p, s) {
			all = append(all, Request{Kind: Service, Proto: s.Proto, To: at(a, s.Port)})
		}
	}
	for _, s := range h.Translated[p.Key] {
		all = append(all, Request{Kind: Service, Proto: s.Proto, To: s.To, Found: true})
	}
	all = append(all, h.insideRequests(p)...)
	for _, tos := range h.TOS[:min(maxSelectedKinds, len(h.TOS))] {
		all = append(all, Request{Kind: Datagram, Proto: "udp", To: at(p.Source, 0), TOS: tos})
	}
	for _, uid := range h.UIDs[:min(maxSelectedKinds, len(h.UIDs))] {
		all = append(all, Request{Kind: Datagram, Proto: "udp", To: at(p.Source, 0), UID: uid})
	}
	return h.addSelected(p, all)
}

// maxSelectedKinds bounds the types of service, and the users, that a path is asked for.
const maxSelectedKinds = 4

// maxSelected bounds the questions of a path for what rules select.
const maxSelected = 16

// addSelected adds questions for the ports that rules select and none of the others is for: a datagram to a socket of the prover,
// or a request for a connection, which a listener or the kernel answers.
func (h Host) addSelected(p health.Path, all []Request) []Request {
	for i, s := range h.Selected {
		q := Request{Kind: Closed, Proto: s.Proto, To: netip.AddrPortFrom(p.Source, s.Port)}
		switch {
		case i == maxSelected:
			return all
		case s.Proto == "udp":
			q.Kind = Datagram
		case h.isOpen(p, s.Port):
			q.Kind = Listener
		}
		if !slices.ContainsFunc(all, func(o Request) bool { return o.Proto == q.Proto && o.To == q.To }) {
			all = append(all, q)
		}
	}
	return all
}

// maxExtraAddrs bounds the addresses of an interface, beside the source address, that requests are made for.
const maxExtraAddrs = 8

// extraAddrs returns the interface's addresses in the path's family, without the source address.
func (h Host) extraAddrs(p health.Path) (all []netip.Addr) {
	for _, a := range h.Facts.Links[p.Link].Addrs {
		ip := a.Prefix.Addr()
		if uplinks.FamilyOf(ip) == p.Family && ip != p.Source && !a.LinkLocal && !a.Tentative && !a.Temporary && len(all) < maxExtraAddrs {
			all = append(all, ip)
		}
	}
	return all
}

// Addrs returns the addresses of the path at which it is asked, the source address first.
func (h Host) Addrs(p health.Path) []netip.Addr {
	return append([]netip.Addr{p.Source}, h.extraAddrs(p)...)
}

// serviceAddrs returns the addresses of the path at which the service is reached.
func (h Host) serviceAddrs(p health.Path, s health.ProofService) []netip.Addr {
	own := h.Addrs(p)
	switch {
	case s.Addr.IsValid() && (s.Uplink == "" || s.Uplink == p.Uplink) && (slices.Contains(own, s.Addr) || s.Uplink != "" && uplinks.FamilyOf(s.Addr) == p.Family):
		return []netip.Addr{s.Addr}
	case s.Addr.IsValid(), s.Uplink != "" && s.Uplink != p.Uplink:
		return nil
	}
	return own
}

// preferredPorts are the listeners that firewalls accept most often and that log least about a reset connection.
var preferredPorts = []uint16{443, 80, 25, 53, 22}

// maxListeners bounds the open TCP ports of a path that are asked.
const maxListeners = 4

// listenerPorts returns open TCP ports of the path's address: those that should be asked first, then the preferred ones.
func (h Host) listenerPorts(p health.Path) []uint16 {
	var ports []uint16
	for _, l := range h.Listeners {
		if l.Accepts(p.Source, p.Index) {
			ports = append(ports, l.Port)
		}
	}
	ports = ByPreference(ports)
	slices.SortStableFunc(ports, func(a, b uint16) int {
		return map[bool]int{true: -1}[slices.Contains(h.Preferred, a)] - map[bool]int{true: -1}[slices.Contains(h.Preferred, b)]
	})
	return ports[:min(maxListeners, len(ports))]
}

// ByPreference returns the distinct ports, the preferred ones first, then by number.
func ByPreference(ports []uint16) []uint16 {
	rank := func(port uint16) int {
		if i := slices.Index(preferredPorts, port); i >= 0 {
			return i
		}
		return len(preferredPorts)
	}
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b uint16) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	return slices.Compact(ports)
}

// isOpen reports whether a TCP port of the path's address is open.
func (h Host) isOpen(p health.Path, port uint16) bool {
	return slices.ContainsFunc(h.Listeners, func(l uplinks.Listener) bool { return l.Port == port && l.Accepts(p.Source, p.Index) })
}

// closedPort returns a closed TCP port: that of tcpmux (RFC 1078), or the next one.
func (h Host) closedPort(p health.Path) uint16 {
	port := uint16(1)
	for h.isOpen(p, port) {
		port++
	}
	return port
}
