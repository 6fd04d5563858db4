package rpdb

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"replypath/uplinks"
)

// Result is the whole of what the kernel does with a packet, as far as routing goes.
type Result struct {
	Steps []Step // of the look-up of its destination
	Answer
	DropReason string // why the packet is dropped although there may be a route, in words; empty: it is not
	// ByHash says that another judgement is possible: a route has several hops, and the packet's hash chooses.
	ByHash bool
	OnLink bool // no route at all, so IPv4 takes the destination for a neighbour on the link that the socket is bound to
	// Back is the look-up of the source of what came in, when the source check makes one: as for the packet ReversePacket.
	Reverse       []Step
	ReversePacket Packet
}

// LookUp judges a packet.
func (d *Database) LookUp(p Packet) Result {
	r := Result{}
	if p.In != "" {
		r = d.lookUpInput(p)
	} else {
		r.Steps, r.Answer = d.Walk(p)
		r.OnLink = d.Family == uplinks.IPv4 && p.Out != "" && r.Error != 0
	}
	byHash := func(s Step) bool { return s.ByHash }
	r.ByHash = r.ByHash || slices.ContainsFunc(r.Steps, byHash) || slices.ContainsFunc(r.Reverse, byHash)
	return r
}

// UnsupportedQuery says why the kernel takes no question about the packet; empty: it does.
func (d *Database) UnsupportedQuery(p Packet) string {
	byProtocol := slices.ContainsFunc(d.Rules, func(r Rule) bool { return r.selectsTransport() })
	switch {
	case p.To.IsMulticast() && (d.Family == uplinks.IPv4 || p.In != ""), p.To == limitedBroadcast:
		return "it does not decide about multicast and broadcast by routes alone"
	case d.Family == uplinks.IPv4 && p.In == "" && p.From.IsValid() && !d.isLocal(p.From):
		return fmt.Sprintf("%s is no address of this host (for what is forwarded, say by which link it comes in: --in)", p.From)
	case byProtocol && !hasQueryProtocol(p):
		return "it takes questions about tcp, udp and icmp only, and a rule looks at protocols or ports"
	}
	return ""
}

// limitedBroadcast is the limited broadcast address (RFC 919).
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// hasQueryProtocol are the protocols of which the kernel takes questions.
func hasQueryProtocol(p Packet) bool {
	icmp := uint8(ICMP)
	if p.Family == uplinks.IPv6 {
		icmp = ICMPv6
	}
	return p.Proto == TCP || p.Proto == UDP || p.Proto == icmp
}

// Query is the packet as the kernel is asked about it: one of a protocol that it takes no questions of is asked as
// UDP, which is right as long as no rule looks at protocols (UnsupportedQuery).
func (p Packet) Query() Packet {
	if !hasQueryProtocol(p) {
		p.Proto, p.Sport, p.Dport = UDP, 0, 0
	}
	if p.In != "" {
		p.UID = 0
	}
	return p
}

func (d *Database) isLocal(a netip.Addr) bool {
	r := d.findRoute(uplinks.LocalTable, Packet{Family: d.Family, To: a})
	return r != nil && r.Type == Local
}

// Difference says how the kernel's answer, the route as it stands in its table, differs from the judgement; empty: they
// agree.
func (r Result) Difference(kernel Answer) string {
	want := r.Error
	switch {
	case r.OnLink:
		want = syscall.EHOSTUNREACH // it has no route to show
	case r.DropReason != "" && want == syscall.EXDEV && kernel.Error == syscall.EINVAL:
		return "" // what newer kernels say of the source check
	}
	switch {
	case want != kernel.Error:
		return fmt.Sprintf("the kernel says %q, the walk %q", errorText(kernel.Error), errorText(want))
	case want == 0 && r.Route.sharesNexthop(kernel.Route):
		return ""
	case want == 0 && !r.Route.equal(kernel.Route):
		return fmt.Sprintf("the kernel takes %s from table %s", kernel.Route, kernel.Route.Table)
	}
	return ""
}

func errorText(e syscall.Errno) string {
	if e == 0 {
		return "there is a route"
	}
	return e.Error()
}

// sharesNexthop reports whether both are IPv6 routes by nexthop objects: what the kernel keeps for the next packet hangs on the
// object's hop, and so it may show another route by that hop, which was used before.
func (r *Route) sharesNexthop(o *Route) bool {
	return r.Nexthop != 0 && o.Nexthop != 0 && r.Dst.Addr().Is6()
}

// equal reports whether two routes are one. IPv6 lists the hops from the one on that it would take.
func (r *Route) equal(o *Route) bool {
	if r.Table != o.Table || r.Type != o.Type || r.Dst != o.Dst || r.Metric != o.Metric || r.TOS != o.TOS || r.Nexthop != o.Nexthop {
		return false
	}
	if r.Nexthop != 0 { // of which the kernel may tell the number alone
		return true
	}
	return len(r.Hops) == len(o.Hops) && !slices.ContainsFunc(r.Hops, func(a Hop) bool {
		return !slices.ContainsFunc(o.Hops, func(b Hop) bool { return a.Link == b.Link && a.Via == b.Via })
	})
}
