package rpdb

import (
	"fmt"
	"slices"
	"syscall"

	"replypath/uplinks"
)

// InputChecks has the effective values of the sysctls by which the kernel checks packets that come in by a link. All but
// Forwarding are for IPv4 only.
type InputChecks struct {
	Forwarding    bool
	RPFilter      int  // the larger of all and the link's
	SrcValidMark  bool // of all or the link
	AcceptLocal   bool // of all or the link
	RouteLocalnet bool // of all or the link
	SendRedirects bool // of all or the link
	Addressed     bool // the link has an IPv4 address
}

// lookUpInput looks up a packet that came in by p.In (ip_route_input_slow).
func (d *Database) lookUpInput(p Packet) Result {
	p.UID = 0 // incoming packets belong to root of the namespace
	if d.Family == uplinks.IPv6 {
		return d.lookUpInput6(p)
	}
	if why := martianReason(p, d.Links[p.In].Checks); why != "" {
		return Result{Answer: Answer{Error: syscall.EINVAL}, DropReason: why}
	}
	if !slices.ContainsFunc(d.Rules, func(r Rule) bool { return r.needsFlowDissection() }) {
		p.Proto, p.Sport, p.Dport = 0, 0, 0
	}
	r := Result{}
	r.Steps, r.Answer = d.Walk(p)
	forwarding := d.Links[p.In].Checks.Forwarding
	switch {
	case r.Error != 0:
		if !forwarding {
			r.Error = syscall.EHOSTUNREACH
		}
	case r.Route.Type == Local, r.Route.Type == Broadcast:
		d.checkSource(&r, p, "")
	case !forwarding:
		r.Error, r.DropReason = syscall.EHOSTUNREACH, fmt.Sprintf("by net.ipv4.conf.%s.forwarding=0", p.In)
	case r.Route.Type != uplinks.Unicast:
		r.Error, r.DropReason = syscall.EINVAL, "because its destination is not a unicast address"
	default:
		d.checkSourceOfHops(&r, p)
	}
	return r
}

// lookUpInput6 looks up an IPv6 packet that came in by p.In. IPv6 has no source check, and drops what it may not forward
// after the look-up (ip6_forward).
func (d *Database) lookUpInput6(p Packet) (r Result) {
	r.Steps, r.Answer = d.Walk(p)
	if r.Error == 0 && r.Route.Type == uplinks.Unicast && !d.Links[p.In].Checks.Forwarding {
		r.DropReason = "by net.ipv6.conf.all.forwarding=0"
	}
	return r
}

// martianReason returns why no packet from a link may have these addresses, or "".
func martianReason(p Packet, c InputChecks) string {
	from := p.source().As4()
	switch {
	case p.source() == limitedBroadcast, p.source().IsMulticast():
		return fmt.Sprintf("as a martian: %s is not a valid source address", p.source())
	case from[0] == 0 && p.To != limitedBroadcast:
		return fmt.Sprintf("as a martian: %s is not a valid source address", p.source())
	case p.To.As4()[0] == 0:
		return fmt.Sprintf("as a martian: %s is not a valid destination address", p.To)
	case from[0] == 127 && !c.RouteLocalnet:
		return fmt.Sprintf("as a martian: %s must not arrive by a link (route_localnet)", p.source())
	case p.To.As4()[0] == 127 && !c.RouteLocalnet:
		return fmt.Sprintf("as a martian: %s must not arrive by a link (route_localnet)", p.To)
	}
	return ""
}

// checkSourceOfHops makes the source check for the first next hop, and notes whether another one would have another result:
// rules can match the link by which the packet leaves, which is where a reply comes in.
func (d *Database) checkSourceOfHops(a *Result, p Packet) {
	before := *a
	d.checkSource(a, p, a.Route.Hops[0].Link)
	for _, h := range before.Route.Hops[1:] {
		other := before
		d.checkSource(&other, p, h.Link)
		a.ByHash = a.ByHash || (other.DropReason == "") != (a.DropReason == "")
	}
}

// checkSource does what __fib_validate_source does: it looks up the reverse route and compares its link with the ingress
// link. The route for the packet leaves by the link out.
func (d *Database) checkSource(a *Result, p Packet, out string) {
	c := d.Links[p.In].Checks
	if c.RPFilter == 0 && c.AcceptLocal && (out != p.In || !c.SendRedirects) {
		return
	}
	reverse := Packet{Family: p.Family, To: p.source(), From: p.To, In: out, TOS: p.TOS, Proto: p.Proto, Sport: p.Dport, Dport: p.Sport}
	if a.Route.Type == Broadcast {
		reverse.From = p.Family.DefaultPrefix().Addr()
	}
	if c.SrcValidMark {
		reverse.Mark = p.Mark
	}
	steps, answer := d.Walk(reverse)
	a.Reverse, a.ReversePacket = steps, reverse
	switch {
	case answer.Error != 0:
		if c.RPFilter != 0 {
			d.dropByRPFilter(a, p, fmt.Sprintf("there is no route back to %s", reverse.To))
		}
	case answer.Route.Type != uplinks.Unicast && (answer.Route.Type != Local || !c.AcceptLocal):
		a.Answer, a.DropReason = Answer{Error: syscall.EINVAL}, fmt.Sprintf("by the source check: %s is an address of this host itself", reverse.To)
	case slices.ContainsFunc(answer.Route.Hops, func(h Hop) bool { return h.Link == p.In }):
	case !c.Addressed && c.RPFilter != 0:
		d.dropByRPFilter(a, p, p.In+" has no IPv4 address")
	case c.Addressed && c.RPFilter == 1:
		d.dropByRPFilter(a, p, fmt.Sprintf("the route back to %s is by %s", reverse.To, answer.Route.Hops[0].Link))
	}
}

// dropByRPFilter marks the packet as dropped by rp_filter (EXDEV).
func (d *Database) dropByRPFilter(a *Result, p Packet, why string) {
	a.Answer = Answer{Error: syscall.EXDEV}
	a.DropReason = fmt.Sprintf("by the source check: net.ipv4.conf.%s.rp_filter=%d (effective), and %s", p.In, d.Links[p.In].Checks.RPFilter, why)
}
