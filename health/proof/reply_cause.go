package proof

import (
	"cmp"
	"fmt"
	"slices"
	"syscall"

	"replypath/health"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// wrongEgress returns why the reply would leave by another interface or next hop than the path's. The reply as it was observed is
// looked up in the routing policy database, and again without what may be wrong with its mark: the difference is the cause.
func (s Snapshot) wrongEgress(r Request, t trace, e EgressObservation, problem, routes health.ProofCheck) health.ProofCheck {
	p, where := r.Path, fmt.Sprintf("the reply would leave by %s", s.linkName(e.Link))
	if e.Link == p.Index {
		where += fmt.Sprintf(" to %s instead of %s", e.NextHop, p.Gateway)
	}
	because := func(c health.ProofCheck) health.ProofCheck {
		c.Detail = fmt.Sprintf("%s: %s", where, c.Detail)
		return c
	}
	packet := s.replyPacket(r, t)
	result, packet, found := s.lookUpObserved(p, packet, e)
	switch {
	case !found && problem.Cause != "":
		return because(problem)
	case !found && routes.Result == health.No:
		return because(routes)
	case !found:
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Detail: where + ", although the kernel routes packets with its mark by " + p.Link,
			Remedy: "find the rule that selects it: replypath explain " + explainArguments(packet) + "; and other programs that mark packets: " + listCommand(p.Family, "mangle")}
	}
	db, by := s.Databases[p.Family], ""
	if step, decided := decidingStep(result); decided {
		by = fmt.Sprintf(", and is selected by %s", s.ruleText(db, step.Rule))
	}
	marked := packet
	marked.Mark = packet.Mark&^uint32(p.Mask) | uint32(p.Mark)
	if problem.Cause != "" && s.leavesBy(db.LookUp(marked), p) {
		problem.Detail += by
		return because(problem)
	}
	if marked.Mark = uint32(p.Mark); packet.Mark&^uint32(p.Mask) != 0 && s.leavesBy(db.LookUp(marked), p) {
		return because(s.selectedByForeignMark(r, packet, by))
	}
	return because(s.wrongRoute(p, packet, decisionOf(result, e)))
}

// selectedByForeignMark returns that a rule selects the reply by bits of the mark that another program has set. by names the rule.
func (s Snapshot) selectedByForeignMark(r Request, packet rpdb.Packet, by string) health.ProofCheck {
	hook, cause := "OUTPUT", health.OutputMark
	if packet.In != "" {
		hook, cause = "PREROUTING", health.PreroutingMark
	}
	bits := packet.Mark &^ uint32(r.Path.Mask)
	c := health.ProofCheck{Result: health.No, Cause: cause, Detail: fmt.Sprintf("it has the mark %#x in %s, of which %#x is of another program%s", packet.Mark, hook, bits, by),
		Remedy: "let that program leave replies alone (with a match on the connection mark), or give the rule a priority after replypath's"}
	return s.withRule(c, "the bits are set by", func(f foreign.Rule) bool {
		return f.WritesMark && !f.WritesConnmark && uint32(f.MarkValue)&bits == bits && (f.Hook == hook || f.Hook == "")
	})
}

// rightToday returns the warning that a reply without the path's mark leaves by the right interface all the same.
func (s Snapshot) rightToday(r Request, t trace, problem health.ProofCheck) health.ProofCheck {
	p := r.Path
	by := "another rule"
	if db := s.Databases[p.Family]; db != nil {
		if result, _, found := s.lookUpObserved(p, s.replyPacket(r, t), r.worstEgress(t)); found {
			if step, decided := decidingStep(result); decided {
				by = "the rule " + s.ruleText(db, step.Rule)
			}
		}
	}
	problem.Detail += fmt.Sprintf("; the reply leaves by %s all the same, by %s, and would stray without that", p.Link, by)
	if !t.reached(OutputEnd) || !t.markRight(r) {
		problem.Detail += ", or behind DNAT"
	}
	return problem.AsWarning()
}

// rejectedReply returns why the kernel rejects or diverts the reply while it routes it, if the look-up of the reply says so. It is
// for a reply that was not observed behind the routing decision.
func (s Snapshot) rejectedReply(r Request, t trace) (health.ProofCheck, bool) {
	db, packet := s.Databases[r.Path.Family], s.replyPacket(r, t)
	if db == nil || t.reached(OutputStart) || t.reached(ReplyForward) || !t.reached(ReplyPrerouting) && !t.reached(InputEnd) {
		return health.ProofCheck{}, false
	}
	result := db.LookUp(packet)
	if s.leavesBy(result, r.Path) {
		return health.ProofCheck{}, false
	}
	c := s.wrongRoute(r.Path, packet, decisionOf(result, EgressObservation{Link: s.Facts.Links[egressLink(result)].Index}))
	c.Detail = fmt.Sprintf("the reply to %s is not sent: %s", r, c.Detail)
	return c, true
}

// replyPacket returns the reply as the routing decision sees it: as observed last before that, or as it is to be expected.
func (s Snapshot) replyPacket(r Request, t trace) rpdb.Packet {
	packet := rpdb.Packet{Family: r.Path.Family, From: r.To.Addr(), To: r.From.Addr(), Proto: r.protocol(), UID: cmp.Or(r.UID, s.serverUID(r)), TOS: r.TOS}
	if rpdb.HasPorts(packet.Proto) {
		packet.Sport, packet.Dport = r.To.Port(), r.From.Port()
	}
	if r.Proto != "udp" { // whose reply has the mark of a socket, which has none
		for _, x := range t.hooks[InputEnd] {
			packet.Mark = x.Mark
		}
	}
	for _, hook := range []Hook{OutputStart, OutputEnd, ReplyPrerouting} {
		for _, x := range t.hooks[hook] {
			packet.From, packet.Mark = x.Host.Addr(), x.Mark
			if x.Error {
				packet.Proto, packet.Sport, packet.Dport = icmp[r.Path.Family], 0, 0
			} else if rpdb.HasPorts(packet.Proto) {
				packet.Sport = x.Host.Port()
			}
			if hook == ReplyPrerouting {
				packet.In, packet.UID = s.linkName(x.Link), 0
			}
		}
	}
	for _, x := range t.hooks[ReplyForward] {
		packet.Mark = x.Mark
	}
	return packet
}

// icmp has the protocol of ICMP by family.
var icmp = map[uplinks.Family]uint8{uplinks.IPv4: rpdb.ICMP, uplinks.IPv6: rpdb.ICMPv6}

// protocol returns the protocol number of the request.
func (r Request) protocol() uint8 {
	switch r.Proto {
	case "tcp":
		return rpdb.TCP
	case "udp":
		return rpdb.UDP
	}
	return icmp[r.Path.Family]
}

// lookUpObserved looks up the reply, and reports whether the result is what was observed. The kernel leaves out the user when
// it looks up an IPv4 packet again because its mark has changed (ip_route_me_harder).
func (s Snapshot) lookUpObserved(p health.Path, packet rpdb.Packet, e EgressObservation) (rpdb.Result, rpdb.Packet, bool) {
	db := s.Databases[p.Family]
	if db == nil {
		return rpdb.Result{}, packet, false
	}
	for _, variant := range replyVariants(db, packet, p.Link) {
		if result := db.LookUp(variant); s.mayLeaveBy(result, e.Link) {
			return result, variant, true
		}
	}
	return rpdb.Result{}, packet, false
}

// replyVariants returns the reply as it may have been looked up: as it is; without its user; bound to the ingress link, as echo replies of
// IPv6 are; and with the types of service that rules select, which a firewall rule may have set.
func replyVariants(db *rpdb.Database, packet rpdb.Packet, ingress string) []rpdb.Packet {
	all := []rpdb.Packet{packet, packet, packet}
	all[1].UID = 0
	if all = all[:2]; packet.Proto == rpdb.ICMPv6 && packet.In == "" {
		all = all[:3]
		all[2].Out = ingress
	}
	for _, r := range db.Rules {
		if r.TOS != 0 {
			marked := packet
			marked.TOS = r.TOS
			all = append(all, marked)
		}
	}
	return all
}

// mayLeaveBy reports whether the look-up sends the packet by the interface with the index, by one of the next hops.
func (s Snapshot) mayLeaveBy(result rpdb.Result, link int) bool {
	if s.Facts.Links[egressLink(result)].Index == link {
		return true
	}
	return egressLink(result) != "" && slices.ContainsFunc(result.Route.Hops, func(h rpdb.Hop) bool { return s.Facts.Links[h.Link].Index == link })
}

// leavesBy reports whether the look-up sends the packet by the path's interface.
func (s Snapshot) leavesBy(result rpdb.Result, p health.Path) bool {
	return egressLink(result) == p.Link
}

// egressLink returns the interface by which the packet leaves, or "".
func egressLink(result rpdb.Result) string {
	switch {
	case result.Error != 0 || result.DropReason != "" || result.Route == nil:
		return ""
	case result.Route.Type == rpdb.Local:
		return "lo"
	case len(result.Route.Hops) == 0:
		return ""
	}
	return result.Route.Hops[0].Link
}

// decisionOf returns the result as a decision of the kernel, with what was observed.
func decisionOf(result rpdb.Result, e EgressObservation) uplinks.RouteDecision {
	d := uplinks.RouteDecision{Link: e.Link}
	if e.NextHop != e.Peer {
		d.Gateway = e.NextHop
	}
	switch step, decided := decidingStep(result); {
	case result.Error != 0:
		d.Err = result.Error
	case result.DropReason != "":
		d.Err = syscall.EINVAL
	case decided:
		d.Table, d.Local = step.Table, result.Route.Type == rpdb.Local
	}
	return d
}

// serverUID returns the user of the socket that serves the request; 0 for replies of the kernel, and of this program.
func (s Snapshot) serverUID(r Request) uint32 {
	for _, v := range s.Servers {
		if v.Proto == r.protocol() && v.Port == r.To.Port() && v.Accepts(r.To.Addr(), r.Path.Index) {
			return v.UID
		}
	}
	return 0
}
