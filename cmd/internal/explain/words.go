package explain

import (
	"fmt"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Words are the end of the packet's way in one sentence.
func (e *Explainer) Words(w Way) string {
	j := w.Judgement
	switch {
	case j.Drop != "":
		return "it would be dropped " + j.Drop
	case j.OnLink:
		return fmt.Sprintf("it leaves by %s, as its socket is bound to it, and nobody may answer there", e.byLink(w.Packet.Out))
	case j.Error != 0:
		return fmt.Sprintf("it is refused: %s%s", j.Error, e.refusedBy(w))
	case j.Route.Type == rpdb.Local:
		return fmt.Sprintf("it is for this host itself, by the address of %s", j.Route.Hops[0].Link)
	case j.Route.Type == rpdb.Broadcast, j.Route.Type == rpdb.Multicast, j.Route.Type == rpdb.Anycast:
		return fmt.Sprintf("it is for many, by the table %s", e.names.Table(j.Route.Table))
	}
	link := w.Link()
	if link == "" {
		return "it leaves by one of several links, which the packet's hash chooses"
	}
	return fmt.Sprintf("it leaves by %s, as %s", e.byLink(link), e.reason(w))
}

// byLink names the uplink of a link.
func (e *Explainer) byLink(link string) string {
	if u, ok := e.uplink(link); ok {
		return fmt.Sprintf("%s, the uplink %s", link, u.Name)
	}
	return link
}

// reason is why the rule that decided was for the packet.
func (e *Explainer) reason(w Way) string {
	r := last(w.Judgement.Steps).Rule
	table := e.names.Table(w.Judgement.Route.Table)
	switch {
	case r.Not:
		return fmt.Sprintf("the rule %d for all but some says: table %s", r.Priority, table)
	case r.Mask != 0:
		return fmt.Sprintf("its mark %#x says", w.Packet.Mark&r.Mask)
	case r.From.IsValid() && r.From.Bits() > 0:
		return fmt.Sprintf("its source %s says", w.Packet.From)
	case r.Protocol == uplinks.Protocol && r.Table == uplinks.MainTable:
		return "main knows its destination to be inside"
	}
	return fmt.Sprintf("the table %s says", table)
}

// refusedBy is who refuses the packet.
func (e *Explainer) refusedBy(w Way) string {
	steps := w.Judgement.Steps
	if len(steps) == 0 || last(steps).Outcome != rpdb.Decided {
		return ": no rule has a route for it"
	}
	s := last(steps)
	owner := w.Database.Owner(s.Rule, e.names)
	if s.Route != nil {
		return fmt.Sprintf(", as a route of table %s says, by the rule %d of %s", e.names.Table(s.Table), s.Rule.Priority, whose(owner))
	}
	return fmt.Sprintf(", as the rule %d of %s says", s.Rule.Priority, whose(owner))
}

func whose(owner string) string {
	if owner == rpdb.UnknownOwner {
		return "an unknown owner"
	}
	return owner
}

func last(steps []rpdb.Step) rpdb.Step { return steps[len(steps)-1] }
