package explain

import (
	"fmt"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Summarize are the end of the packet's way in one sentence.
func (e *Explainer) Summarize(w Trace) string {
	j := w.Judgement
	switch {
	case j.DropReason != "":
		return "it would be dropped " + j.DropReason
	case j.OnLink:
		return fmt.Sprintf("it leaves by %s, as its socket is bound to it, and nobody may answer there", e.linkText(w.Packet.Out))
	case j.Error != 0:
		return fmt.Sprintf("it is refused: %s%s", j.Error, e.refusedBy(w))
	case j.Route.Type == rpdb.Local:
		return fmt.Sprintf("it is for this host itself, by the address of %s", j.Route.Hops[0].Link)
	case j.Route.Type == rpdb.Broadcast, j.Route.Type == rpdb.Multicast, j.Route.Type == rpdb.Anycast:
		return fmt.Sprintf("it is for many, by the table %s", e.names.TableName(j.Route.Table))
	}
	link := w.Link()
	if link == "" {
		return "it leaves by one of several links, which the packet's hash chooses"
	}
	return fmt.Sprintf("it leaves by %s, as %s", e.linkText(link), e.decidingReason(w))
}

// linkText names the uplink of a link.
func (e *Explainer) linkText(link string) string {
	if u, ok := e.uplink(link); ok {
		return fmt.Sprintf("%s, the uplink %s", link, u.Name)
	}
	return link
}

// decidingReason is why the rule that decided was for the packet.
func (e *Explainer) decidingReason(w Trace) string {
	r := last(w.Judgement.Steps).Rule
	table := e.names.TableName(w.Judgement.Route.Table)
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
func (e *Explainer) refusedBy(w Trace) string {
	steps := w.Judgement.Steps
	if len(steps) == 0 || last(steps).Outcome != rpdb.Decided {
		return ": no rule has a route for it"
	}
	s := last(steps)
	owner := w.Database.Owner(s.Rule, e.names)
	if s.Route != nil {
		return fmt.Sprintf(", as a route of table %s says, by the rule %d of %s", e.names.TableName(s.Table), s.Rule.Priority, ownerText(owner))
	}
	return fmt.Sprintf(", as the rule %d of %s says", s.Rule.Priority, ownerText(owner))
}

func ownerText(owner string) string {
	if owner == rpdb.UnknownOwner {
		return "an unknown owner"
	}
	return owner
}

func last(steps []rpdb.Step) rpdb.Step { return steps[len(steps)-1] }
