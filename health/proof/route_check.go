package proof

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"replypath/health"
	"replypath/uplinks"
)

// RouteLookups are the kernel's route decisions for the packets of one path.
type RouteLookups struct {
	Reply     uplinks.RouteDecision // of a reply with the path's mark
	Unmarked  uplinks.RouteDecision // of a packet of the host from the path's source address, without a mark
	Request   uplinks.RouteDecision // of a request with the mark that arrives on the path's interface
	Forwarded *ForwardedLookups     // nil: there is no LAN host
	peer      netip.Addr
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
		Reply:    lookUp(uplinks.RouteQuery{To: peer, Mark: p.Mark}),
		Unmarked: lookUp(uplinks.RouteQuery{From: p.Source, To: peer}),
		Request:  lookUp(uplinks.RouteQuery{From: peer, To: p.Source, Mark: p.Mark, IIF: p.Index}),

		peer: peer,
	}
	if lan != nil {
		d.Forwarded = &ForwardedLookups{
			Request: lookUp(uplinks.RouteQuery{From: peer, To: lan.Addr, Mark: p.Mark, IIF: p.Index}),
			Reply:   lookUp(uplinks.RouteQuery{From: lan.Addr, To: peer, Mark: p.Mark, IIF: lan.Link}),
		}
	}
	return d
}

// CheckRoutes reports whether the route decisions send replies through the path, and the cause if they do not.
func (s Snapshot) CheckRoutes(p health.Path, d RouteLookups) health.ProofCheck {
	if c, unusable := Unusable(p); unusable {
		return c
	}
	switch {
	case !followsPath(p, d.Reply):
		return s.wrongRoute(p, flow{to: d.peer, in: "lo", mark: p.Mark}, d.Reply, s.markRule(p))
	case !followsPath(p, d.Unmarked) && !s.sharesSource(p):
		return s.wrongRoute(p, flow{to: d.peer, in: "lo", from: p.Source}, d.Unmarked, s.sourceRule(p))
	case d.Request.Err != nil:
		return s.requestRejected(p, "requests", d.Request)
	case !d.Request.Local:
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: fmt.Sprintf("requests to %s are not delivered to this host: %s", p.Source, s.describe(d.Request)),
			Remedy: "look at table local: ip route show table local"}
	case d.Forwarded == nil:
		return health.ProofCheck{Result: health.Yes}
	case isSourceCheckError(d.Forwarded.Request.Err):
		return s.requestRejected(p, "forwarded requests", d.Forwarded.Request)
	case d.Forwarded.Reply.Err == nil && !followsPath(p, d.Forwarded.Reply):
		return s.wrongRoute(p, flow{to: d.peer, mark: p.Mark}, d.Forwarded.Reply, s.markRule(p))
	}
	return health.ProofCheck{Result: health.Yes}
}

// isSourceCheckError reports whether the source check (rp_filter) rejects the packet: EINVAL, or EXDEV from older kernels. With
// other errors the kernel reports that it does not forward.
func isSourceCheckError(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EXDEV)
}

// Unusable reports whether the path's interface cannot take part in a proof, and the check that says why.
func Unusable(p health.Path) (health.ProofCheck, bool) {
	detail := ""
	switch {
	case p.VRF != 0:
		detail = fmt.Sprintf("%s is in a VRF, whose table %d is looked up before replypath's rules", p.Link, p.VRF)
	case p.Master != "":
		detail = fmt.Sprintf("%s is a port of %s, by which its packets come in", p.Link, p.Master)
	case p.LeftOut != "":
		detail = "left out: " + p.LeftOut
	case p.Index == 0:
		detail = fmt.Sprintf("the interface %s does not exist", p.Link)
	case !p.Up:
		detail = fmt.Sprintf("%s is down", p.Link)
	case !p.Source.IsValid():
		detail = fmt.Sprintf("%s has no %s address", p.Link, p.Family)
	}
	return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: detail, Remedy: "correct this, then verify again"}, detail != ""
}

// followsPath reports whether the packet leaves by the path's interface and, if the path has one, its gateway.
func followsPath(p health.Path, d uplinks.RouteDecision) bool {
	return d.Err == nil && !d.Local && d.Link == p.Index && (!p.Gateway.IsValid() || d.Gateway == p.Gateway)
}

// markRule returns replypath's rule for replies with the path's mark.
func (s Snapshot) markRule(p health.Path) uplinks.Rule {
	priority := s.rulePriority(p, func(r uplinks.Rule) bool { return r.Mark == p.Mark && r.Mask == p.Mask && r.IIF == "" })
	return uplinks.Rule{Family: p.Family, Priority: priority, Mark: p.Mark, Mask: p.Mask,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}

// sourceRule returns replypath's rule for packets of the host from the path's source address.
func (s Snapshot) sourceRule(p health.Path) uplinks.Rule {
	address := netip.PrefixFrom(p.Source, p.Source.BitLen())
	priority := s.rulePriority(p, func(r uplinks.Rule) bool { return r.From == address })
	return uplinks.Rule{Family: p.Family, Priority: priority, From: address,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}

// rulePriority returns the priority of replypath's rule that matches and looks up the path's table, or 0 when it is missing.
func (s Snapshot) rulePriority(p health.Path, matches func(uplinks.Rule) bool) uplinks.Priority {
	for r := range s.Rules {
		if r.Family == p.Family && r.Action == uplinks.Lookup && r.Table == p.Table && matches(r) {
			return r.Priority
		}
	}
	return 0
}

// sharesSource reports whether another interface has the path's source address too: its uplink may have the source rule.
func (s Snapshot) sharesSource(p health.Path) bool {
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
