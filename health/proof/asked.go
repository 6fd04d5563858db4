package proof

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"replypath/health"
	"replypath/uplinks"
)

// Decisions are what the kernel says of a path.
type Decisions struct {
	Out    uplinks.Decision // of an answer that wears the path's mark
	From   uplinks.Decision // of the host's own packet from the path's address, without a mark
	In     uplinks.Decision // of a question that comes in by the link and wears the mark
	Inside *Decided         // nil: nobody is behind the gateway
	asker  netip.Addr
}

// Decided is what the kernel says of packets between the path and a host behind the gateway.
type Decided struct {
	In  uplinks.Decision // of a question that comes in by the path's link and wears the mark
	Out uplinks.Decision // of its answer, which wears it too
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

		asker: asker,
	}
	if inside != nil {
		d.Inside = &Decided{
			In:  kernel(uplinks.Question{From: asker, To: inside.Host, Mark: p.Mark, In: p.Index}),
			Out: kernel(uplinks.Question{From: inside.Host, To: asker, Mark: p.Mark, In: inside.Link}),
		}
	}
	return d
}

// Asked judges a path by the kernel's decisions.
func (g Ground) Asked(p health.Path, d Decisions) health.Check {
	if c, not := Unfit(p); not {
		return c
	}
	switch {
	case !by(p, d.Out):
		return g.misled(p, packet{to: d.asker, in: "lo", mark: p.Mark}, d.Out, g.byMark(p))
	case !by(p, d.From) && !g.anothers(p):
		return g.misled(p, packet{to: d.asker, in: "lo", from: p.Source}, d.From, g.byAddress(p))
	case d.In.Err != nil:
		return g.refused(p, "questions", d.In)
	case !d.In.Local:
		return health.Check{Result: health.No, Cause: health.OtherCause, Why: fmt.Sprintf("a question to %s is not for this host: %s", p.Source, g.goes(d.In)),
			Remedy: "look at table local: ip route show table local"}
	case d.Inside == nil:
		return health.Check{Result: health.Yes}
	case checked(d.Inside.In.Err):
		return g.refused(p, "questions that are passed on", d.Inside.In)
	case d.Inside.Out.Err == nil && !by(p, d.Inside.Out):
		return g.misled(p, packet{to: d.asker, mark: p.Mark}, d.Inside.Out, g.byMark(p))
	}
	return health.Check{Result: health.Yes}
}

// checked reports whether it is the source check that refuses: by other errors a host says that it passes nothing on.
// Older kernels say EXDEV.
func checked(err error) bool { return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EXDEV) }

// Unfit says why nothing can be asked of a path.
func Unfit(p health.Path) (health.Check, bool) {
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

// byMark is our rule for answers that wear the path's mark.
func (g Ground) byMark(p health.Path) uplinks.Rule {
	at := g.priority(p, func(r uplinks.Rule) bool { return r.Mark == p.Mark && r.Mask == p.Mask && r.In == "" })
	return uplinks.Rule{Family: p.Family, Priority: at, Mark: p.Mark, Mask: p.Mask,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
}

// byAddress is our rule for the host's own packets from the path's address.
func (g Ground) byAddress(p health.Path) uplinks.Rule {
	address := netip.PrefixFrom(p.Source, p.Source.BitLen())
	at := g.priority(p, func(r uplinks.Rule) bool { return r.From == address })
	return uplinks.Rule{Family: p.Family, Priority: at, From: address,
		Action: uplinks.Lookup, Table: p.Table, SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
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

// refused says why the kernel does not let questions in.
func (g Ground) refused(p health.Path, what string, d uplinks.Decision) health.Check {
	if p.Family != uplinks.IPv4 || !g.strict(p.Link) {
		return health.Check{Result: health.No, Cause: health.OtherCause, Why: fmt.Sprintf("the kernel refuses %s that come in by %s: %v", what, p.Link, d.Err),
			Remedy: fmt.Sprintf("ask it: ip route get %s from an address on the Internet iif %s mark %s", p.Source, p.Link, p.Mark)}
	}
	c := health.Check{Result: health.No, Cause: health.SourceCheck, Remedy: repair,
		Why: fmt.Sprintf("the source check of %s drops %s: %s and %s, the larger one holds", p.Link, what, g.sysctl(rpFilter("all")), g.sysctl(rpFilter(p.Link)))}
	if g.Values[srcValidMark("all")] != "1" && g.Values[srcValidMark(p.Link)] != "1" {
		c.Why += fmt.Sprintf("; and it does not see the mark: %s", g.sysctl(srcValidMark(p.Link)))
		c.Remedy = fmt.Sprintf("sysctl -w %s=1, which replypath apply does", srcValidMark(p.Link))
	}
	return c
}
