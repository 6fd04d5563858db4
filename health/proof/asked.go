package proof

import (
	"fmt"
	"net/netip"

	"replypath/health"
	"replypath/uplinks"
)

// Decisions are what the kernel says of a path.
type Decisions struct {
	Out    uplinks.Decision  // of an answer that wears the path's mark
	From   uplinks.Decision  // of the host's own packet from the path's address, without a mark
	In     uplinks.Decision  // of a question that comes in by the link and wears the mark
	Passed *uplinks.Decision // of an answer that comes in from inside and wears the mark; nil: there is no inside
}

// Inside is a host behind the gateway, whose answers pass through.
type Inside struct {
	Link int
	Host netip.Addr
}

// Ask puts the questions that a path is judged by to the kernel.
func Ask(p health.Path, asker netip.Addr, inside *Inside, kernel func(uplinks.Question) uplinks.Decision) Decisions {
	d := Decisions{
		Out:  kernel(uplinks.Question{To: asker, Mark: p.Mark}),
		From: kernel(uplinks.Question{From: p.Source, To: asker}),
		In:   kernel(uplinks.Question{From: asker, To: p.Source, Mark: p.Mark, In: p.Index}),
	}
	if inside != nil {
		passed := kernel(uplinks.Question{From: inside.Host, To: asker, Mark: p.Mark, In: inside.Link})
		d.Passed = &passed
	}
	return d
}

// Asked judges a path by the kernel's decisions.
func (g Ground) Asked(p health.Path, d Decisions) health.Check {
	if c, not := g.Unfit(p); not {
		return c
	}
	byMark := uplinks.Rule{Family: p.Family, Priority: g.priority(p, func(r uplinks.Rule) bool { return r.Mark == p.Mark && r.Mask == p.Mask && r.In == "" }),
		Mark: p.Mark, Mask: p.Mask, Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	address := netip.PrefixFrom(p.Source, p.Source.BitLen())
	byAddress := uplinks.Rule{Family: p.Family, Priority: g.priority(p, func(r uplinks.Rule) bool { return r.From == address }), From: address,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	switch {
	case !by(p, d.Out):
		return g.misled(p, packet{in: "lo", mark: p.Mark}, d.Out, byMark)
	case !by(p, d.From) && !g.anothers(p):
		return g.misled(p, packet{in: "lo", from: p.Source}, d.From, byAddress)
	case d.In.Err != nil:
		return g.refused(p, d.In)
	case !d.In.Local:
		return health.Check{Result: health.No, Cause: health.OtherCause, Why: fmt.Sprintf("a question to %s is not for this host: %s", p.Source, g.goes(d.In)),
			Remedy: "look at table local: ip route show table local"}
	case d.Passed != nil && d.Passed.Err == nil && !by(p, *d.Passed):
		return g.misled(p, packet{mark: p.Mark}, *d.Passed, byMark)
	}
	return health.Check{Result: health.Yes}
}

// Unfit says why nothing can be asked of a path.
func (g Ground) Unfit(p health.Path) (health.Check, bool) {
	why := ""
	switch {
	case p.Index == 0:
		why = fmt.Sprintf("there is no link %s", p.Link)
	case !p.Up:
		why = fmt.Sprintf("%s is down", p.Link)
	case !p.Source.IsValid():
		why = fmt.Sprintf("%s has no %s address", p.Link, p.Family)
	}
	return health.Check{Result: health.Unknown, Cause: health.CannotShow, Why: why, Remedy: "set it right, and look again"}, why != ""
}

// by reports whether a packet goes by the path, and by its gateway.
func by(p health.Path, d uplinks.Decision) bool {
	return d.Err == nil && !d.Local && d.Link == p.Index && (!p.Gateway.IsValid() || d.Gateway == p.Gateway)
}

// priority is that of our rule for the path; 0: there is none.
func (g Ground) priority(p health.Path, is func(uplinks.Rule) bool) uplinks.Priority {
	for r := range g.Rules {
		if r.Family == p.Family && r.Action == uplinks.Lookup && r.Table == p.Table && is(r) {
			return r.Priority
		}
	}
	return 0
}

// anothers reports whether the path's address belongs to another uplink too, which then has the rule for it.
func (g Ground) anothers(p health.Path) bool {
	for name, l := range g.Facts.Links {
		for _, a := range l.Addrs {
			if name != p.Link && a.Prefix.Addr() == p.Source {
				return true
			}
		}
	}
	return false
}

// refused says why the kernel does not let a question in.
func (g Ground) refused(p health.Path, d uplinks.Decision) health.Check {
	if p.Family != uplinks.IPv4 || !g.strict(p.Link) {
		return health.Check{Result: health.No, Cause: health.OtherCause, Why: fmt.Sprintf("the kernel refuses questions that come in by %s: %v", p.Link, d.Err),
			Remedy: fmt.Sprintf("ask it: ip route get %s from an address on the Internet iif %s mark %s", p.Source, p.Link, p.Mark)}
	}
	c := health.Check{Result: health.No, Cause: health.SourceCheck, Remedy: repair,
		Why: fmt.Sprintf("the source check of %s drops questions: %s and %s, the larger one holds", p.Link, g.sysctl(rpFilter("all")), g.sysctl(rpFilter(p.Link)))}
	if g.Values[srcValidMark("all")] != "1" && g.Values[srcValidMark(p.Link)] != "1" {
		c.Why += fmt.Sprintf("; and it does not see the mark: %s", g.sysctl(srcValidMark(p.Link)))
		c.Remedy = fmt.Sprintf("sysctl -w %s=1, which replypath apply does", srcValidMark(p.Link))
	}
	return c
}
