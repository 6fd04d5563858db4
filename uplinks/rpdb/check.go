package rpdb

import (
	"fmt"
	"slices"
	"syscall"

	"replypath/uplinks"
)

// Check is what the kernel asks of packets that come in by a link: the effective values of its sysctls. All but the first
// are IPv4's alone.
type Check struct {
	Forwarding    bool
	RPFilter      int  // the larger of all and the link's
	SrcValidMark  bool // of all or the link
	AcceptLocal   bool // of all or the link
	RouteLocalnet bool // of all or the link
	SendRedirects bool // of all or the link
	Addressed     bool // the link has an IPv4 address
}

// arrive judges a packet that came in by p.In (ip_route_input_slow; IPv6 has no source check).
func (d *Database) arrive(p Packet) Judgement {
	p.UID = 0 // what comes in belongs to the namespace
	if d.Family == uplinks.IPv6 {
		return d.arrive6(p)
	}
	if why := martian(p, d.Links[p.In].Check); why != "" {
		return Judgement{Answer: Answer{Error: syscall.EINVAL}, Drop: why}
	}
	if !slices.ContainsFunc(d.Rules, func(r Rule) bool { return r.dissects() }) {
		p.Proto, p.Sport, p.Dport = 0, 0, 0
	}
	a := Judgement{}
	a.Steps, a.Answer = d.Walk(p)
	forwarding := d.Links[p.In].Check.Forwarding
	switch {
	case a.Error != 0:
		if !forwarding {
			a.Error = syscall.EHOSTUNREACH
		}
	case a.Route.Type == Local, a.Route.Type == Broadcast:
		d.checkSource(&a, p, "")
	case !forwarding:
		a.Error, a.Drop = syscall.EHOSTUNREACH, fmt.Sprintf("by net.ipv4.conf.%s.forwarding=0", p.In)
	case a.Route.Type != uplinks.Unicast:
		a.Error, a.Drop = syscall.EINVAL, "as its destination is no unicast address"
	default:
		d.checkHops(&a, p)
	}
	return a
}

// arrive6 knows that IPv6 asks for the route first, and drops what it may not forward then (ip6_forward).
func (d *Database) arrive6(p Packet) (a Judgement) {
	a.Steps, a.Answer = d.Walk(p)
	if a.Error == 0 && a.Route.Type == uplinks.Unicast && !d.Links[p.In].Check.Forwarding {
		a.Drop = "by net.ipv6.conf.all.forwarding=0"
	}
	return a
}

// martian tells what no packet from a wire may carry.
func martian(p Packet, c Check) string {
	from := p.source().As4()
	switch {
	case p.source() == limited, p.source().IsMulticast():
		return fmt.Sprintf("as a martian: %s is no address of a sender", p.source())
	case from[0] == 0 && p.To != limited:
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

// checkHops makes the source check for the first hop, and sees whether it would end otherwise for another: rules may
// look at the link that the packet leaves by, which is where an answer comes in.
func (d *Database) checkHops(a *Judgement, p Packet) {
	before := *a
	d.checkSource(a, p, a.Route.Hops[0].Link)
	for _, h := range before.Route.Hops[1:] {
		other := before
		d.checkSource(&other, p, h.Link)
		a.ByHash = a.ByHash || (other.Drop == "") != (a.Drop == "")
	}
}

// checkSource is __fib_validate_source: it looks the way back up and sees whether it is by the link of ingress. The
// route for the packet leads out by the link out.
func (d *Database) checkSource(a *Judgement, p Packet, out string) {
	c := d.Links[p.In].Check
	if c.RPFilter == 0 && c.AcceptLocal && (out != p.In || !c.SendRedirects) {
		return
	}
	back := Packet{Family: p.Family, To: p.source(), From: p.To, In: out, TOS: p.TOS, Proto: p.Proto, Sport: p.Dport, Dport: p.Sport}
	if a.Route.Type == Broadcast {
		back.From = p.Family.Any().Addr()
	}
	if c.SrcValidMark {
		back.Mark = p.Mark
	}
	steps, way := d.Walk(back)
	a.Back, a.BackFor = steps, back
	switch {
	case way.Error != 0:
		if c.RPFilter != 0 {
			d.filtered(a, p, fmt.Sprintf("there is no way back to %s", back.To))
		}
	case way.Route.Type != uplinks.Unicast && (way.Route.Type != Local || !c.AcceptLocal):
		a.Answer, a.Drop = Answer{Error: syscall.EINVAL}, fmt.Sprintf("by the source check: %s is an address of this host itself", back.To)
	case slices.ContainsFunc(way.Route.Hops, func(h Hop) bool { return h.Link == p.In }):
	case !c.Addressed && c.RPFilter != 0:
		d.filtered(a, p, p.In+" has no IPv4 address")
	case c.Addressed && c.RPFilter == 1:
		d.filtered(a, p, fmt.Sprintf("the way back to %s is by %s", back.To, way.Route.Hops[0].Link))
	}
}

func (d *Database) filtered(a *Judgement, p Packet, why string) {
	a.Answer = Answer{Error: syscall.EXDEV}
	a.Drop = fmt.Sprintf("by the source check: net.ipv4.conf.%s.rp_filter=%d (effective), and %s", p.In, d.Links[p.In].Check.RPFilter, why)
}
