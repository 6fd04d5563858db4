package proof

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"replypath/health"
	"replypath/uplinks"
)

// RouteLookups are what the kernel says of a path.
type RouteLookups struct {
	Reply     uplinks.RouteDecision // of an answer that wears the path's mark
	Unmarked  uplinks.RouteDecision // of the host's own packet from the path's address, without a mark
	Request   uplinks.RouteDecision // of a question that comes in by the link and wears the mark
	Forwarded *ForwardedLookups     // nil: nobody is behind the gateway
	peer      netip.Addr
}

// ForwardedLookups is what the kernel says of packets between the path and a host behind the gateway.
type ForwardedLookups struct {
	Request uplinks.RouteDecision // of a question that comes in by the path's link and wears the mark
	Reply   uplinks.RouteDecision // of its answer, which wears it too
}

// LANHost is a host behind the gateway, whose answers pass through.
type LANHost struct {
	Link int
	Addr netip.Addr
}

// LookUpRoutes puts the questions that a path is judged by to the kernel.
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

// CheckRoutes judges a path by the kernel's decisions.
func (g Snapshot) CheckRoutes(p health.Path, d RouteLookups) health.ProofCheck {
	if c, not := Unusable(p); not {
		return c
	}
	switch {
	case !followsPath(p, d.Reply):
		return g.wrongRoute(p, flow{to: d.peer, in: "lo", mark: p.Mark}, d.Reply, g.markRule(p))
	case !followsPath(p, d.Unmarked) && !g.sharesSource(p):
		return g.wrongRoute(p, flow{to: d.peer, in: "lo", from: p.Source}, d.Unmarked, g.sourceRule(p))
	case d.Request.Err != nil:
		return g.requestRefused(p, "questions", d.Request)
	case !d.Request.Local:
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: fmt.Sprintf("a question to %s is not for this host: %s", p.Source, g.describe(d.Request)),
			Remedy: "look at table local: ip route show table local"}
	case d.Forwarded == nil:
		return health.ProofCheck{Result: health.Yes}
	case isSourceCheckError(d.Forwarded.Request.Err):
		return g.requestRefused(p, "questions that are passed on", d.Forwarded.Request)
	case d.Forwarded.Reply.Err == nil && !followsPath(p, d.Forwarded.Reply):
		return g.wrongRoute(p, flow{to: d.peer, mark: p.Mark}, d.Forwarded.Reply, g.markRule(p))
	}
	return health.ProofCheck{Result: health.Yes}
}

// isSourceCheckError reports whether it is the source check that refuses: by other errors a host says that it passes nothing on.
// Older kernels say EXDEV.
func isSourceCheckError(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EXDEV)
}

// Unusable says why nothing can be asked of a path.
func Unusable(p health.Path) (health.ProofCheck, bool) {
	why := ""
	switch {
	case p.Index == 0:
		why = fmt.Sprintf("there is no link %s", p.Link)
	case !p.Up:
		why = fmt.Sprintf("%s is down", p.Link)
	case !p.Source.IsValid():
		why = fmt.Sprintf("%s has no %s address", p.Link, p.Family)
	}
	return health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: why, Remedy: "set it right, and look again"}, why != ""
}

// followsPath reports whether a packet goes by the path, and by its gateway.
func followsPath(p health.Path, d uplinks.RouteDecision) bool {
	return d.Err == nil && !d.Local && d.Link == p.Index && (!p.Gateway.IsValid() || d.Gateway == p.Gateway)
}

// markRule is our rule for answers that wear the path's mark.
func (g Snapshot) markRule(p health.Path) uplinks.Rule {
	priority := g.rulePriority(p, func(r uplinks.Rule) bool { return r.Mark == p.Mark && r.Mask == p.Mask && r.IIF == "" })
	return uplinks.Rule{Family: p.Family, Priority: priority, Mark: p.Mark, Mask: p.Mask,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}

// sourceRule is our rule for the host's own packets from the path's address.
func (g Snapshot) sourceRule(p health.Path) uplinks.Rule {
	address := netip.PrefixFrom(p.Source, p.Source.BitLen())
	priority := g.rulePriority(p, func(r uplinks.Rule) bool { return r.From == address })
	return uplinks.Rule{Family: p.Family, Priority: priority, From: address,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}

// rulePriority is that of our rule for the path; 0: there is none.
func (g Snapshot) rulePriority(p health.Path, matches func(uplinks.Rule) bool) uplinks.Priority {
	for r := range g.Rules {
		if r.Family == p.Family && r.Action == uplinks.Lookup && r.Table == p.Table && matches(r) {
			return r.Priority
		}
	}
	return 0
}

// sharesSource reports whether the path's address belongs to another uplink too, which then has the rule for it.
func (g Snapshot) sharesSource(p health.Path) bool {
	for name, l := range g.Facts.Links {
		for _, a := range l.Addrs {
			if name != p.Link && a.Prefix.Addr() == p.Source {
				return true
			}
		}
	}
	return false
}

// requestRefused says why the kernel does not let questions in.
func (g Snapshot) requestRefused(p health.Path, what string, d uplinks.RouteDecision) health.ProofCheck {
	if p.Family != uplinks.IPv4 || !g.strictRPFilter(p.Link) {
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: fmt.Sprintf("the kernel refuses %s that come in by %s: %v", what, p.Link, d.Err),
			Remedy: fmt.Sprintf("ask it: ip route get %s from an address on the Internet iif %s mark %s", p.Source, p.Link, p.Mark)}
	}
	c := health.ProofCheck{Result: health.No, Cause: health.SourceCheck, Remedy: repair,
		Detail: fmt.Sprintf("the source check of %s drops %s: %s and %s, the larger one holds", p.Link, what, g.sysctl(rpFilter("all")), g.sysctl(rpFilter(p.Link)))}
	if g.Values[srcValidMark("all")] != "1" && g.Values[srcValidMark(p.Link)] != "1" {
		c.Detail += fmt.Sprintf("; and it does not see the mark: %s", g.sysctl(srcValidMark(p.Link)))
		c.Remedy = fmt.Sprintf("sysctl -w %s=1, which replypath apply does", srcValidMark(p.Link))
	}
	return c
}
