package rpdb

import (
	"fmt"
	"slices"
	"syscall"

	"replypath/uplinks"
)

// InputChecks is what the kernel asks of packets that come in by a link: the effective values of its sysctls. All but the first
// are IPv4's alone.
type InputChecks struct {
	Forwarding    bool
	RPFilter      int  // the larger of all and the link's
	SrcValidMark  bool // of all or the link
	AcceptLocal   bool // of all or the link
	RouteLocalnet bool // of all or the link
	SendRedirects bool // of all or the link
	Addressed     bool // the link has an IPv4 address
}

// lookUpInput judges a packet that came in by p.In (ip_route_input_slow; IPv6 has no source check).
func (d *Database) lookUpInput(p Packet) Result {
	p.UID = 0 // what comes in belongs to the namespace
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
		r.Error, r.DropReason = syscall.EINVAL, "as its destination is no unicast address"
	default:
		d.checkSourceOfHops(&r, p)
	}
	return r
}

// lookUpInput6 knows that IPv6 asks for the route first, and drops what it may not forward then (ip6_forward).
func (d *Database) lookUpInput6(p Packet) (r Result) {
	r.Steps, r.Answer = d.Walk(p)
	if r.Error == 0 && r.Route.Type == uplinks.Unicast && !d.Links[p.In].Checks.Forwarding {
		r.DropReason = "by net.ipv6.conf.all.forwarding=0"
	}
	return r
}

// martianReason tells what no packet from a wire may carry.
func martianReason(p Packet, c InputChecks) string {
	from := p.source().As4()
	switch {
	case p.source() == limitedBroadcast, p.source().IsMulticast():
		return fmt.Sprintf("as a martian: %s is no address of a sender", p.source())
	case from[0] == 0 && p.To != limitedBroadcast:
		return fmt.Sprintf("as a martian: %s is no address of a sender", p.source())
	case p.To.As4()[0] == 0:
		return fmt.Sprintf("as a martian: %s is no address to send to", p.To)
	case from[0] == 127 && !c.RouteLocalnet:
		return fmt.Sprintf("as a martian: %s must not come from a wire (route_localnet)", p.source())
	case p.To.As4()[0] == 127 && !c.RouteLocalnet:
		return fmt.Sprintf("as a martian: %s must not come from a wire (route_localnet)", p.To)
	}
	return ""
}

// checkSourceOfHops makes the source check for the first hop, and sees whether it would end otherwise for another: rules may
// look at the link that the packet leaves by, which is where an answer comes in.
func (d *Database) checkSourceOfHops(a *Result, p Packet) {
	before := *a
	d.checkSource(a, p, a.Route.Hops[0].Link)
	for _, h := range before.Route.Hops[1:] {
		other := before
		d.checkSource(&other, p, h.Link)
		a.ByHash = a.ByHash || (other.DropReason == "") != (a.DropReason == "")
	}
}

// checkSource is __fib_validate_source: it looks the way back up and sees whether it is by the link of ingress. The
// route for the packet leads out by the link out.
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
			d.dropByRPFilter(a, p, fmt.Sprintf("there is no way back to %s", reverse.To))
		}
	case answer.Route.Type != uplinks.Unicast && (answer.Route.Type != Local || !c.AcceptLocal):
		a.Answer, a.DropReason = Answer{Error: syscall.EINVAL}, fmt.Sprintf("by the source check: %s is an address of this host itself", reverse.To)
	case slices.ContainsFunc(answer.Route.Hops, func(h Hop) bool { return h.Link == p.In }):
	case !c.Addressed && c.RPFilter != 0:
		d.dropByRPFilter(a, p, p.In+" has no IPv4 address")
	case c.Addressed && c.RPFilter == 1:
		d.dropByRPFilter(a, p, fmt.Sprintf("the way back to %s is by %s", reverse.To, answer.Route.Hops[0].Link))
	}
}

func (d *Database) dropByRPFilter(a *Result, p Packet, why string) {
	a.Answer = Answer{Error: syscall.EXDEV}
	a.DropReason = fmt.Sprintf("by the source check: net.ipv4.conf.%s.rp_filter=%d (effective), and %s", p.In, d.Links[p.In].Checks.RPFilter, why)
}
