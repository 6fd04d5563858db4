package proof

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rpdb"
)

// ClientFault is why clients of one network get no reply by a path, although others do.
type ClientFault struct {
	network  ClientNetwork
	query    uplinks.RouteQuery
	decision uplinks.RouteDecision
	policy   egress.Policy // that blocks, where blocked is set
	blocked  bool
	// uplinkLinks are the indexes of all uplinks' links.
	uplinkLinks []int
	inside      bool // the packet is one of a host inside, or for one
	request     bool // the packet is a request
	// simulate: the kernel cannot look up the protocol, so that the simulation of the look-up decides whether it is a fault.
	simulate bool
}

// LookUpClients looks up the packets of a client of each network as LookUpRoutes does those of the peer, whose look-ups are in d,
// and returns those that the kernel refuses, delivers to this host, or sends by another one of the uplinks' links. Replies by a
// link that is no uplink are right: that is how VPNs are reached. So are those to another router on the link of the path. Replies
// of this host are looked up without a source and with the path's, as programs with both kinds of sockets send them; all of them for
// each flow of the network.
func LookUpClients(p health.Path, d RouteLookups, networks []ClientNetwork, uplinkLinks []int, state egress.State, lookUp func(uplinks.RouteQuery) uplinks.RouteDecision) (faults []ClientFault) {
	for _, n := range networks {
		if uplinks.FamilyOf(n.Client) != p.Family || n.Table != 0 && n.Table != p.Table {
			continue
		}
		for _, flow := range append([]uplinks.Flow{{}}, n.Flows...) {
			faults = append(faults, clientLookUp{p, n, flow, uplinkLinks, lookUp}.faults(d)...)
		}
		if fault, found := blockedClient(p, n, d.lan, state); found {
			faults = append(faults, fault)
		}
	}
	return faults
}

// clientLookUp looks up packets of one client and flow.
type clientLookUp struct {
	path        health.Path
	network     ClientNetwork
	flow        uplinks.Flow
	uplinkLinks []int
	lookUp      func(uplinks.RouteQuery) uplinks.RouteDecision
}

// faults returns the packets that are lost, and all of a protocol that the kernel cannot look up, for the simulation.
func (l clientLookUp) faults(d RouteLookups) (all []ClientFault) {
	for _, f := range l.packets(d) {
		f.network, f.uplinkLinks, f.query.Flow = l.network, l.uplinkLinks, l.flow
		if f.inside {
			f.query.UID = 0
		}
		if f.simulate = !rpdb.SupportsQuery(l.path.Family, l.flow.Proto); !f.simulate {
			f.decision = l.lookUp(f.query)
		}
		if f.simulate || f.isLost(l.path) {
			all = append(all, f)
		}
	}
	return all
}

// packets returns the packets of the client, and of this host and a host inside to it, of which those of the peer are right.
func (l clientLookUp) packets(d RouteLookups) (all []ClientFault) {
	client, mark := l.network.Client, l.path.Mark
	if followsPath(l.path, d.Reply) {
		all = append(all, ClientFault{query: uplinks.RouteQuery{To: client, Mark: mark}}, ClientFault{query: uplinks.RouteQuery{From: l.path.Source, To: client, Mark: mark}})
	}
	if d.lan == nil {
		return all
	}
	if followsPath(l.path, d.Forwarded.Reply) {
		all = append(all, ClientFault{inside: true, query: uplinks.RouteQuery{From: d.lan.Addr, To: client, Mark: mark, IIF: d.lan.Link}})
	}
	if r := d.Forwarded.Request; r.Err == nil && !r.Local && !slices.Contains(l.uplinkLinks, r.Link) {
		all = append(all, ClientFault{inside: true, request: true, query: uplinks.RouteQuery{From: client, To: d.lan.Addr, Mark: mark, IIF: l.path.Index}})
	}
	return all
}

// isLost reports whether the kernel refuses the packet, delivers it to this host, or sends it by an uplink that it should not leave by.
func (f ClientFault) isLost(p health.Path) bool {
	d := f.decision
	return d.Err != nil || d.Local || (f.request || d.Link != p.Index) && slices.Contains(f.uplinkLinks, d.Link)
}

// blockedClient returns the IPsec policy that blocks packets between the client and this host, or a host inside.
func blockedClient(p health.Path, n ClientNetwork, lan *LANHost, state egress.State) (ClientFault, bool) {
	hosts := []LANHost{{Addr: p.Source}}
	if lan != nil {
		hosts = append(hosts, *lan)
	}
	for _, host := range hosts {
		for _, policy := range state.Policies {
			if f, found := blockedBy(policy, p, n, host, state); policy.Block && found {
				return f, true
			}
		}
	}
	return ClientFault{}, false
}

// blockedBy looks up the packets between a client and a host, this one unless it has a link, that have the protocol and ports of the policy.
func blockedBy(policy egress.Policy, p health.Path, n ClientNetwork, host LANHost, state egress.State) (ClientFault, bool) {
	reply := egress.Packet{Proto: cmp.Or(policy.Proto, protocolTCP), From: netip.AddrPortFrom(host.Addr, policy.Sport), To: netip.AddrPortFrom(n.Client, policy.Dport), Mark: uint32(p.Mark), Link: p.Index}
	request := reply
	request.From, request.To, request.Link = netip.AddrPortFrom(n.Client, policy.Sport), netip.AddrPortFrom(host.Addr, policy.Dport), cmp.Or(host.Link, p.Index)
	fault := ClientFault{network: n, blocked: true, inside: host.Link != 0}
	directions := map[bool][]egress.Direction{false: {egress.Out}, true: {egress.Forward, egress.Out}}[fault.inside]
	if fault.policy, fault.blocked = state.Blocks(reply, directions...); fault.blocked {
		return fault, true
	}
	if !fault.inside {
		directions = []egress.Direction{egress.In}
	}
	fault.request = true
	fault.policy, fault.blocked = state.Blocks(request, directions...)
	return fault, fault.blocked
}

// checkClients returns the verdict on the faults that matter here: a No if there is one, else the first. Where a table of the path has a
// route of another program, or what takes the packets selects the path's own address or mark too, it is No; otherwise it is unknown whether
// clients there come by this path at all.
func (s Snapshot) checkClients(p health.Path, faults []ClientFault) health.ProofCheck {
	first := health.ProofCheck{Result: health.Yes}
	for _, f := range faults {
		if f.inside && !s.translatesDestinations() || f.simulate && !s.losesSimulated(p, &f) {
			continue
		}
		if c := s.checkClient(p, f); c.Result == health.No {
			return c
		} else if first.Result == health.Yes {
			first = c
		}
	}
	return first
}

// losesSimulated reports whether the simulation of the look-up loses the packet, and sets its decision; or that there is none.
func (s Snapshot) losesSimulated(p health.Path, f *ClientFault) bool {
	db := s.Databases[p.Family]
	if db == nil {
		return true
	}
	result := db.LookUp(s.clientPacket(p, *f))
	f.decision = decisionOf(result, EgressObservation{Link: s.Facts.Links[egressLink(result)].Index})
	return f.isLost(p)
}

// checkClient returns the verdict on one fault.
func (s Snapshot) checkClient(p health.Path, f ClientFault) health.ProofCheck {
	c := s.clientCause(p, f)
	what := "replies to clients"
	if f.request {
		what = "requests of clients"
	}
	if f.query.Flow != (uplinks.Flow{}) {
		what = "some " + what
	}
	if f.inside {
		what += " of hosts inside"
	}
	c.Result, c.Scope = health.No, health.ClientScope
	c.Detail = fmt.Sprintf("%s in %s are lost: %s", what, f.network.Prefix, c.Detail)
	if (f.network.Table == 0 || f.query.TOS != 0) && !s.selectsPath(p, f) {
		c.Result = health.Unknown
		c.Detail += fmt.Sprintf("; others are not, and whether clients there come by %s is unknown", p.Link)
	}
	return c
}

// clientPacket returns the packet that was looked up.
func (s Snapshot) clientPacket(p health.Path, f ClientFault) rpdb.Packet {
	q := f.query
	return rpdb.Packet{Family: p.Family, From: q.From, To: q.To, In: s.inLink(q), Mark: uint32(q.Mark), Proto: cmp.Or(q.Proto, rpdb.UDP), Sport: q.Sport, Dport: q.Dport, TOS: q.TOS, UID: q.UID}
}

// selectsPath reports whether the rule or policy that takes the packets of a fault selects the path's own address or mark too: then the
// clients of the network, if it is more than a single address, get no such reply from it, whichever way they come.
func (s Snapshot) selectsPath(p health.Path, f ClientFault) bool {
	db := s.Databases[p.Family]
	switch {
	case f.network.Prefix.IsSingleIP():
		return false
	case f.blocked && f.request:
		return isOfPath(f.policy.To, p)
	case f.blocked:
		return isOfPath(f.policy.From, p)
	case db == nil || !s.hasReplies(p, f.query.Flow):
		return false
	}
	step, decided := decidingStep(db.LookUp(s.clientPacket(p, f)))
	return decided && step.Rule.Protocol != uplinks.Protocol && (isOfPath(step.Rule.From, p) || step.Rule.Mask&uint32(p.Mask) != 0 && !step.Rule.Not)
}

// hasReplies reports whether the host certainly sends replies like the flow: the kernel replies to echoes and to all of TCP, as root, and
// servers to the rest.
func (s Snapshot) hasReplies(p health.Path, flow uplinks.Flow) bool {
	served := slices.ContainsFunc(s.Servers, func(v Server) bool {
		return (flow.Proto == 0 || flow.Proto == v.Proto) && (flow.Sport == 0 || flow.Sport == v.Port) && (flow.UID == 0 || flow.UID == v.UID) && v.Accepts(p.Source, p.Index)
	})
	byKernel := flow.UID == 0 && (flow.Proto == 0 && flow.Sport == 0 || flow.Proto == icmp[p.Family] || flow.Proto == rpdb.TCP)
	return flow.TOS == 0 && (served || byKernel)
}

// isOfPath reports whether a selector is for the path's own address, or its network, and not for a large part of the Internet.
func isOfPath(selector netip.Prefix, p health.Path) bool {
	return selector.IsValid() && selector.Bits() > uplinks.MaxDefaultPrefixLen(p.Family) && selector.Contains(p.Source)
}

// clientCause returns the cause of a fault.
func (s Snapshot) clientCause(p health.Path, f ClientFault) health.ProofCheck {
	db, packet := s.Databases[p.Family], s.clientPacket(p, f)
	switch {
	case f.blocked:
		return health.ProofCheck{Cause: health.IPsecPolicy, Detail: fmt.Sprintf("the IPsec policy %q blocks them", f.policy.String()), Remedy: "nothing, if that is intended; else: ip xfrm policy"}
	case db == nil:
		return s.wrongRoute(p, packet, f.decision)
	}
	step, decided := decidingStep(db.LookUp(packet))
	switch {
	case !decided || step.Rule.Protocol == uplinks.Protocol && step.Table == p.Table:
		return s.wrongRoute(p, packet, f.decision)
	case step.Route == nil || step.Rule.Protocol != uplinks.Protocol && step.Rule.Protocol != kernelProtocol:
		return health.ProofCheck{Cause: health.RuleShadowed, Detail: fmt.Sprintf("they are selected by %s: %s", s.ruleText(db, step.Rule), s.describe(f.decision)),
			Remedy: "nothing, if that is intended; else give that rule a priority after replypath's"}
	}
	return health.ProofCheck{Cause: health.OtherCause, Remedy: fmt.Sprintf("nothing, if that is intended; else delete it: %s route del %s table %s", p.Family.IPCommand(), step.Route.Target(), s.Names.TableName(step.Table)),
		Detail: fmt.Sprintf("table %s has the route %s, protocol %s: %s", s.Names.TableName(step.Table), step.Route, s.Names.ProtocolName(step.Route.Protocol), s.describe(f.decision))}
}

// inLink returns the name of the interface that the packet arrives on, or "".
func (s Snapshot) inLink(q uplinks.RouteQuery) string {
	if q.IIF == 0 {
		return ""
	}
	return s.linkName(q.IIF)
}

// ClientAddrs returns the addresses of the networks' clients in the family.
func ClientAddrs(networks []ClientNetwork, f uplinks.Family) (all []netip.Addr) {
	for _, n := range networks {
		if uplinks.FamilyOf(n.Client) == f {
			all = append(all, n.Client)
		}
	}
	return all
}
