package proof

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
)

// Kind is what a question asks for.
type Kind string

// The kinds of questions.
const (
	Echo     Kind = "echo"     // answered by the kernel
	Closed   Kind = "closed"   // a TCP port that nobody listens on: refused by the kernel
	Listener Kind = "listener" // a TCP port that somebody listens on
	Datagram Kind = "datagram" // UDP, answered by ourselves as a server would
	Service  Kind = "service"  // named by the operator; perhaps passed on to another host
)

// Question is made to arrive by a path's link.
type Question struct {
	Path  health.Path
	Kind  Kind
	Proto string         // icmp, tcp or udp
	From  netip.AddrPort // the port tells the questions of one asker apart; of an echo it is the identifier
	To    netip.AddrPort
}

// String says who is asked for what.
func (q Question) String() string {
	switch q.Kind {
	case Echo:
		return "echo to " + q.To.Addr().String()
	case Datagram:
		return "datagram to " + q.To.Addr().String()
	}
	return fmt.Sprintf("%s://%s (%s)", q.Proto, q.To, q.Kind)
}

// Target is what of the host questions are put to.
type Target struct {
	Facts     uplinks.Facts
	Listeners []uplinks.Listener
	Services  []health.Service
}

// Questions are those that show the path, in the order in which they should be put. Numbers begin after first and tell
// all questions of one asker apart, also when all paths have the same.
func Questions(paths []health.Path, t Target, askers map[health.Key]netip.Addr, first uint16) []Question {
	var all []Question
	number := first
	for _, p := range paths {
		asker, ok := askers[p.Key]
		if !ok {
			continue
		}
		for _, q := range t.questions(p) {
			number++
			q.Path, q.From = p, netip.AddrPortFrom(asker, number)
			all = append(all, q)
		}
	}
	return all
}

func (t Target) questions(p health.Path) []Question {
	at := func(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
	all := []Question{
		{Kind: Echo, Proto: "icmp", To: at(p.Source, 0)},
		{Kind: Closed, Proto: "tcp", To: at(p.Source, t.closed(p))},
		{Kind: Datagram, Proto: "udp", To: at(p.Source, 0)},
	}
	if port := t.open(p); port != 0 {
		all = append(all, Question{Kind: Listener, Proto: "tcp", To: at(p.Source, port)})
	}
	for _, a := range t.more(p) {
		all = append(all, Question{Kind: Echo, Proto: "icmp", To: at(a, 0)})
	}
	for _, s := range t.Services {
		for _, a := range t.addresses(p, s) {
			all = append(all, Question{Kind: Service, Proto: s.Proto, To: at(a, s.Port)})
		}
	}
	return all
}

// enough bounds how many more addresses of a link are asked at.
const enough = 8

// more are the link's addresses in the family, but for the first.
func (t Target) more(p health.Path) (all []netip.Addr) {
	for _, a := range t.Facts.Links[p.Link].Addrs {
		ip := a.Prefix.Addr()
		if uplinks.FamilyOf(ip) == p.Family && ip != p.Source && !a.LinkLocal && !a.Tentative && !a.Temporary && len(all) < enough {
			all = append(all, ip)
		}
	}
	return all
}

// addresses are those of the path's that the service has.
func (t Target) addresses(p health.Path, s health.Service) []netip.Addr {
	mine := append([]netip.Addr{p.Source}, t.more(p)...)
	switch {
	case s.To.IsValid() && (s.On == "" || s.On == p.Uplink) && (slices.Contains(mine, s.To) || s.On != "" && uplinks.FamilyOf(s.To) == p.Family):
		return []netip.Addr{s.To}
	case s.To.IsValid(), s.On != "" && s.On != p.Uplink:
		return nil
	}
	return mine
}

// likely are the ports whose listeners firewalls let pass most often, and that say least of who knocks.
var likely = []uint16{443, 80, 25, 53, 22}

// open is the port of a listener; 0: nobody listens.
func (t Target) open(p health.Path) uint16 {
	var ports []uint16
	for _, l := range t.Listeners {
		if l.Hears(p.Source, p.Index) {
			ports = append(ports, l.Port)
		}
	}
	if len(ports) == 0 {
		return 0
	}
	rank := func(port uint16) int {
		if i := slices.Index(likely, port); i >= 0 {
			return i
		}
		return len(likely)
	}
	return slices.MinFunc(ports, func(a, b uint16) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
}

// closed is a port that nobody listens on: that of tcpmux (RFC 1078), or the next one.
func (t Target) closed(p health.Path) uint16 {
	port := uint16(1)
	for slices.ContainsFunc(t.Listeners, func(l uplinks.Listener) bool { return l.Port == port && l.Hears(p.Source, p.Index) }) {
		port++
	}
	return port
}
