package rpdb

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"replypath/uplinks"
)

// Result is everything that routing does with a packet.
type Result struct {
	Steps []Step // of the look-up of the destination
	Answer
	DropReason string // why the packet is dropped although it may have a route; empty: it is not dropped
	// ByHash reports that another result is possible: a route has several next hops, and the hash of the packet chooses.
	ByHash bool
	OnLink bool // no route, so IPv4 takes the destination for a neighbour on the link to which the socket is bound
	// Reverse has the steps of the source check, the look-up of the source of an incoming packet, if there is one.
	// ReversePacket is the packet of that look-up.
	Reverse       []Step
	ReversePacket Packet
}

// LookUp simulates the routing of the packet.
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

// UnsupportedQuery returns why the kernel supports no look-up of the packet (RTM_GETROUTE), or "" when it does.
func (d *Database) UnsupportedQuery(p Packet) string {
	byProtocol := slices.ContainsFunc(d.Rules, func(r Rule) bool { return r.selectsTransport() })
	switch {
	case p.To.IsMulticast() && (d.Family == uplinks.IPv4 || p.In != ""), p.To == limitedBroadcast:
		return "multicast and broadcast do not depend on routes alone"
	case d.Family == uplinks.IPv4 && p.In == "" && p.From.IsValid() && !d.isLocal(p.From):
		return fmt.Sprintf("%s is not an address of this host (for a forwarded packet give the incoming link: --in)", p.From)
	case byProtocol && !hasQueryProtocol(p):
		return "it supports look-ups for tcp, udp and icmp only, and a rule matches protocols or ports"
	}
	return ""
}

// limitedBroadcast is the limited broadcast address (RFC 919).
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// SupportsQuery reports whether the kernel supports look-ups for the protocol (RTA_IP_PROTO); 0 is any.
func SupportsQuery(f uplinks.Family, proto uint8) bool {
	icmp := uint8(ICMP)
	if f == uplinks.IPv6 {
		icmp = ICMPv6
	}
	return proto == 0 || proto == TCP || proto == UDP || proto == icmp
}

// hasQueryProtocol reports whether the packet has a protocol for which the kernel supports look-ups.
func hasQueryProtocol(p Packet) bool { return p.Proto != 0 && SupportsQuery(p.Family, p.Proto) }

// Query returns the packet for a look-up in the kernel. It replaces an unsupported protocol by UDP, which makes no
// difference as long as no rule matches protocols (UnsupportedQuery).
func (p Packet) Query() Packet {
	if !hasQueryProtocol(p) {
		p.Proto, p.Sport, p.Dport = UDP, 0, 0
	}
	if p.In != "" {
		p.UID = 0
	}
	return p
}

// isLocal reports whether the address belongs to this host.
func (d *Database) isLocal(a netip.Addr) bool {
	r := d.findRoute(uplinks.LocalTable, Packet{Family: d.Family, To: a})
	return r != nil && r.Type == Local
}

// Difference returns how the answer of the kernel, the route as it stands in its table, differs from the result, or "" when
// they agree.
func (r Result) Difference(kernel Answer) string {
	want := r.Error
	switch {
	case r.OnLink:
		want = syscall.EHOSTUNREACH // the kernel has no route to report
	case r.DropReason != "" && want == syscall.EXDEV && kernel.Error == syscall.EINVAL:
		return "" // the error of newer kernels for the source check
	}
	switch {
	case want != kernel.Error:
		return fmt.Sprintf("the kernel returns %q, the simulation %q", errorText(kernel.Error), errorText(want))
	case want == 0 && r.Route.sharesNexthop(kernel.Route):
		return ""
	case want == 0 && !r.Route.equal(kernel.Route):
		return fmt.Sprintf("the kernel selects %s from table %s", kernel.Route, kernel.Route.Table)
	}
	return ""
}

func errorText(e syscall.Errno) string {
	if e == 0 {
		return "there is a route"
	}
	return e.Error()
}

// sharesNexthop reports whether both are IPv6 routes by nexthop objects. The kernel caches results with the next hop of the
// object, and may therefore report another route that uses it.
func (r *Route) sharesNexthop(o *Route) bool {
	return r.Nexthop != 0 && o.Nexthop != 0 && r.Dst.Addr().Is6()
}

// equal reports whether two routes are the same. IPv6 lists the next hops starting with the one that it would take.
func (r *Route) equal(o *Route) bool {
	if r.Table != o.Table || r.Type != o.Type || r.Dst != o.Dst || r.Metric != o.Metric || r.TOS != o.TOS || r.Nexthop != o.Nexthop {
		return false
	}
	if r.Nexthop != 0 { // the kernel may report only the ID
		return true
	}
	return len(r.Hops) == len(o.Hops) && !slices.ContainsFunc(r.Hops, func(a Hop) bool {
		return !slices.ContainsFunc(o.Hops, func(b Hop) bool { return a.Link == b.Link && a.Via == b.Via })
	})
}
