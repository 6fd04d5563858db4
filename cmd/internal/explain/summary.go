package explain

import (
	"fmt"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Summarize returns the result of a trace in one sentence.
func (e *Explainer) Summarize(w Trace) string {
	j := w.Result
	switch {
	case j.DropReason != "":
		return "it would be dropped " + j.DropReason
	case j.OnLink:
		return fmt.Sprintf("it leaves by %s, which its socket is bound to, without a route: the destination is taken for a neighbour", e.linkText(w.Packet.Out))
	case j.Error != 0:
		return fmt.Sprintf("it is rejected: %s%s", j.Error, e.refusedBy(w))
	case w.Interception != nil && !w.Interception.Takes() && w.Interception.Drop:
		return fmt.Sprintf("it is dropped: no proxy of intercept %s takes it", w.Interception.Intercept)
	case j.Route.Type == rpdb.Local && w.Interception.Takes():
		return fmt.Sprintf("it is delivered to the proxy on port %d of this host (intercept %s)", w.Interception.Proxy.Port, w.Interception.Intercept)
	case j.Route.Type == rpdb.Local && e.interceptBit() != 0 && j.Route.Table == e.settings.InterceptTable():
		return fmt.Sprintf("it is delivered to a proxy on this host: its mark is that of interception, and table %s makes every address local", e.names.TableName(j.Route.Table))
	case j.Route.Type == rpdb.Local:
		return fmt.Sprintf("it is delivered to this host: the address belongs to %s", j.Route.Hops[0].Link)
	case j.Route.Type == rpdb.Broadcast, j.Route.Type == rpdb.Multicast, j.Route.Type == rpdb.Anycast:
		return fmt.Sprintf("it is delivered as broadcast, multicast or anycast, by table %s", e.names.TableName(j.Route.Table))
	}
	link := w.Link()
	if link == "" {
		return "it leaves by one of several links, selected by the packet's hash"
	}
	if u, ok := e.egressUplink(w); ok {
		link = fmt.Sprintf("%s (uplink %s)", link, u.Name)
	}
	return fmt.Sprintf("it leaves by %s, selected by %s", link, e.decidingReason(w))
}

// linkText returns the name of a link, with its uplinks.
func (e *Explainer) linkText(link string) string {
	var names []string
	for _, u := range e.uplinksOn(link) {
		names = append(names, u.Name)
	}
	if len(names) == 0 {
		return link
	}
	return fmt.Sprintf("%s (uplink %s)", link, strings.Join(names, ", "))
}

// decidingReason returns the selector of the rule that decided.
func (e *Explainer) decidingReason(w Trace) string {
	r := last(w.Result.Steps).Rule
	table := e.names.TableName(w.Result.Route.Table)
	switch {
	case r.Not:
		return fmt.Sprintf("rule %d (not ...) and table %s", r.Priority, table)
	case r.Mask != 0:
		return fmt.Sprintf("its mark %#x", w.Packet.Mark&r.Mask)
	case r.From.IsValid() && r.From.Bits() > 0:
		return fmt.Sprintf("its source %s", w.Packet.From)
	case r.Protocol == uplinks.Protocol && r.Table == uplinks.MainTable:
		return "table main, as a destination inside"
	}
	return fmt.Sprintf("table %s", table)
}

// refusedBy names the rule, and the route if any, that rejects the packet.
func (e *Explainer) refusedBy(w Trace) string {
	steps := w.Result.Steps
	if len(steps) == 0 || last(steps).Outcome != rpdb.Decided {
		return ", as no rule has a route for it"
	}
	s := last(steps)
	owner := w.Database.Owner(s.Rule, e.names)
	if s.Route != nil {
		return fmt.Sprintf(", by a route of table %s, rule %d of %s", e.names.TableName(s.Table), s.Rule.Priority, ownerText(owner))
	}
	return fmt.Sprintf(", by rule %d of %s", s.Rule.Priority, ownerText(owner))
}

func ownerText(owner string) string {
	if owner == rpdb.UnknownOwner {
		return "an unknown owner"
	}
	return owner
}

func last(steps []rpdb.Step) rpdb.Step { return steps[len(steps)-1] }
