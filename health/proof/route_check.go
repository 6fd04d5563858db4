package proof

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"replypath/health"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// RouteLookups are the kernel's route decisions for the packets of one path.
type RouteLookups struct {
	Reply     uplinks.RouteDecision // of a reply with the path's mark
	Sourced   uplinks.RouteDecision // of one with the path's source address too
	Unmarked  uplinks.RouteDecision // of a packet of the host from the path's source address, without a mark
	Request   uplinks.RouteDecision // of a request with the mark that arrives on the path's interface
	Forwarded *ForwardedLookups     // nil: there is no LAN host
	Clients   []ClientFault         // of clients in networks that other programs select

	peer netip.Addr
	lan  *LANHost
}

// ForwardedLookups are the kernel's route decisions for packets between the path and a LAN host.
type ForwardedLookups struct {
	Request uplinks.RouteDecision // of a request with the mark that arrives on the path's interface
	Reply   uplinks.RouteDecision // of its reply with the mark
}

// LANHost is an address in a network that the host may forward packets of the uplinks to.
type LANHost struct {
	Link int // the index of the interface that leads to it
	Addr netip.Addr
}

// LookUpRoutes looks up the routes between the path and the peer, and between the path and the LAN host unless that is nil.
func LookUpRoutes(p health.Path, peer netip.Addr, lan *LANHost, lookUp func(uplinks.RouteQuery) uplinks.RouteDecision) RouteLookups {
	d := RouteLookups{
		Reply:    lookUp(uplinks.RouteQuery{To: peer, Mark: p.Mark, AllHops: true}),
		Sourced:  lookUp(uplinks.RouteQuery{From: p.Source, To: peer, Mark: p.Mark, AllHops: true}),
		Unmarked: lookUp(uplinks.RouteQuery{From: p.Source, To: peer}),
		Request:  lookUp(uplinks.RouteQuery{From: peer, To: p.Source, Mark: p.Mark, IIF: p.Index}),

		peer: peer, lan: lan,
	}
	if lan != nil {
		d.Forwarded = &ForwardedLookups{
			Request: lookUp(uplinks.RouteQuery{From: peer, To: lan.Addr, Mark: p.Mark, IIF: p.Index}),
			Reply:   lookUp(uplinks.RouteQuery{From: lan.Addr, To: peer, Mark: p.Mark, IIF: lan.Link, AllHops: true}),
		}
	}
	return d
}

// CheckRoutes reports whether the route decisions send replies through the path, and the cause if they do not. Decisions for
// forwarded packets fail the check only where packets are forwarded: a host that translates no destination (DNAT) receives no
// request for a LAN host.
func (s Snapshot) CheckRoutes(p health.Path, d RouteLookups) health.ProofCheck {
	if c, unusable := Unusable(p); unusable {
		return c
	}
	host, forwarded := s.checkHostRoutes(p, d), s.checkForwardedRoutes(p, d)
	host.Scope, forwarded.Scope = health.HostScope, health.ForwardedScope
	clients, spread := s.checkClients(p, d.Clients), s.checkHops(p, d)
	switch {
	case spread.Result == health.No:
		return spread
	case forwarded.Result == health.No && s.translatesDestinations():
		return forwarded
	case clients.Result == health.No:
		return clients
	case host.Result == health.No:
		return host
	case clients.Result != health.Yes:
		return clients
	case forwarded.Result == health.No:
		forwarded.Detail += "; this host forwards no requests, so that it does not matter today"
		return forwarded.AsWarning()
	}
	return health.ProofCheck{Result: health.Yes}
}

// checkHops checks whether a hash of the addresses chooses the interface by which a reply leaves: those of some clients leave by another
// one, though that of the peer may not.
func (s Snapshot) checkHops(p health.Path, d RouteLookups) health.ProofCheck {
	packet := rpdb.Packet{Family: p.Family, To: d.peer, Proto: rpdb.UDP, Mark: uint32(p.Mark)}
	sourced := packet
	sourced.From = p.Source
	decisions, packets := []uplinks.RouteDecision{d.Reply, d.Sourced}, []rpdb.Packet{packet, sourced}
	if d.Forwarded != nil && d.lan != nil && s.translatesDestinations() {
		packet.From, packet.In = d.lan.Addr, s.linkName(d.lan.Link)
		decisions, packets = append(decisions, d.Forwarded.Reply), append(packets, packet)
	}
	for i, decision := range decisions {
		if decision.Other == 0 {
			continue
		}
		c := s.wrongRoute(p, packets[i], decision)
		c.Result, c.Scope = health.No, health.ClientScope
		c.Detail = "a route with several next hops leads replies to some clients by other interfaces: " + c.Detail
		return c
	}
	return health.ProofCheck{Result: health.Yes}
}

// checkHostRoutes checks the decisions for the packets of this host.
func (s Snapshot) checkHostRoutes(p health.Path, d RouteLookups) health.ProofCheck {
	packet := rpdb.Packet{Family: p.Family, To: d.peer, Proto: rpdb.UDP}
	switch {
	case !followsPath(p, d.Reply):
		packet.Mark = uint32(p.Mark)
		return s.wrongRoute(p, packet, d.Reply)
	case !followsPath(p, d.Unmarked) && !s.sharesSource(p, d.Unmarked):
		packet.From = p.Source
		return s.wrongRoute(p, packet, d.Unmarked)
	case d.Request.Err != nil:
		return s.requestRejected(p, "requests", d.Request)
	case !d.Request.Local:
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: fmt.Sprintf("requests to %s are not delivered to this host: %s", p.Source, s.describe(d.Request)),
			Remedy: "look at table local: ip route show table local"}
	}
	return health.ProofCheck{Result: health.Yes}
}

// checkForwardedRoutes checks the decisions for packets between the path and the LAN host.
func (s Snapshot) checkForwardedRoutes(p health.Path, d RouteLookups) health.ProofCheck {
	switch {
	case d.Forwarded == nil:
	case isSourceCheckError(d.Forwarded.Request.Err):
		return s.requestRejected(p, "forwarded requests", d.Forwarded.Request)
	case d.Forwarded.Reply.Err == nil && !followsPath(p, d.Forwarded.Reply):
		packet := rpdb.Packet{Family: p.Family, From: d.lan.Addr, To: d.peer, In: s.linkName(d.lan.Link), Mark: uint32(p.Mark), Proto: rpdb.UDP}
		return s.wrongRoute(p, packet, d.Forwarded.Reply)
	}
	return health.ProofCheck{Result: health.Yes}
}

// translatesDestinations reports whether the firewall has rules that translate destinations, or whether that is unknown.
func (s Snapshot) translatesDestinations() bool {
	return !s.FirewallRead || slices.ContainsFunc(s.Firewall, func(r foreign.Rule) bool { return r.TranslatesDestination })
}

// isSourceCheckError reports whether the source check (rp_filter) rejects the packet: EINVAL, or EXDEV from older kernels. With
// other errors the kernel reports that it does not forward.
func isSourceCheckError(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EXDEV)
}

// Unusable reports whether the path's interface cannot take part in a proof, and the check that says why.
func Unusable(p health.Path) (health.ProofCheck, bool) {
	detail, remedy := "", "correct this, then verify again"
	switch {
	case p.VRF != 0:
		return health.ProofCheck{Result: health.Unknown, Cause: health.InVRF,
			Detail: fmt.Sprintf("%s is in a VRF: the kernel looks up its table %s before all rules, so that replypath does not manage it", p.Link, p.VRF),
			Remedy: fmt.Sprintf("take it out of the VRF (ip link set %s nomaster), or remove the uplink", p.Link)}, true
	case p.Master != "":
		return bridged(p, p.Master), true
	case p.LeftOut != "":
		detail = "left out: " + p.LeftOut
	case p.Index == 0:
		detail = fmt.Sprintf("the interface %s does not exist", p.Link)
	case !p.Up:
		detail, remedy = fmt.Sprintf("%s is down", p.Link), fmt.Sprintf("ip link set %s up", p.Link)
	case !p.Source.IsValid():
		detail = fmt.Sprintf("%s has no %s address", p.Link, p.Family)
		remedy = fmt.Sprintf("add one (ip address add), or leave the family out: gateway = \"auto-%s\", or that of the other family alone", otherFamily[p.Family])
	}
	return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: detail, Remedy: remedy}, detail != ""
}

// otherFamily is the family that is left to an uplink without one of them, as the configuration writes it.
var otherFamily = map[uplinks.Family]string{uplinks.IPv4: "ipv6", uplinks.IPv6: "ipv4"}

// followsPath reports whether the packet leaves by the path's interface and, if the path has one, its gateway.
func followsPath(p health.Path, d uplinks.RouteDecision) bool {
	return d.Err == nil && !d.Local && d.Link == p.Index && (!p.Gateway.IsValid() || d.Gateway == p.Gateway)
}

// sharesSource reports whether another interface has the path's source address too, or another uplink has it on the same
// interface, by which the packet leaves: that uplink may have the source rule.
func (s Snapshot) sharesSource(p health.Path, d uplinks.RouteDecision) bool {
	if p.SharedLink && d.Err == nil && d.Link == p.Index {
		return true
	}
	for name, l := range s.Facts.Links {
		for _, a := range l.Addrs {
			if name != p.Link && a.Prefix.Addr() == p.Source {
				return true
			}
		}
	}
	return false
}

// requestRejected returns why the kernel does not accept requests (or forwarded requests, as what says).
func (s Snapshot) requestRejected(p health.Path, what string, d uplinks.RouteDecision) health.ProofCheck {
	if p.Family != uplinks.IPv4 || !s.strictRPFilter(p.Link) {
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: fmt.Sprintf("the kernel rejects %s that arrive on %s: %v", what, p.Link, d.Err),
			Remedy: fmt.Sprintf("reproduce it: ip route get %s from ADDRESS iif %s mark %s, with an ADDRESS on the Internet", p.Source, p.Link, p.Mark)}
	}
	c := health.ProofCheck{Result: health.No, Cause: health.SourceCheck, Remedy: repair,
		Detail: fmt.Sprintf("the source check (rp_filter) of %s drops %s: %s and %s, the larger value applies", p.Link, what, s.sysctl(rpFilter("all")), s.sysctl(rpFilter(p.Link)))}
	if s.Values[srcValidMark("all")] != "1" && s.Values[srcValidMark(p.Link)] != "1" {
		c.Detail += fmt.Sprintf("; it ignores the mark: %s", s.sysctl(srcValidMark(p.Link)))
		c.Remedy = fmt.Sprintf("sysctl -w %s=1, which replypath apply does", srcValidMark(p.Link))
	}
	return c
}
