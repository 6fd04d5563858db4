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
	inside   bool // the packet is one of a host inside, or for one
	request  bool // the packet is a request
}

// LookUpClients looks up the packets of a client of each network as LookUpRoutes does those of the peer, whose look-ups are in d,
// and returns those that the kernel refuses, delivers to this host, or sends by another one of the uplinks' links. Replies by a
// link that is no uplink are right: that is how VPNs are reached. So are those to another router on the link of the path. Replies
// of this host are looked up without a source and with the path's, as programs with both kinds of sockets send them.
func LookUpClients(p health.Path, d RouteLookups, networks []ClientNetwork, uplinkLinks []int, state egress.State, lookUp func(uplinks.RouteQuery) uplinks.RouteDecision) (faults []ClientFault) {
	for _, n := range networks {
		if uplinks.FamilyOf(n.Client) != p.Family || n.Table != 0 && n.Table != p.Table {
			continue
		}
		l := clientLookUp{p, n, uplinkLinks, lookUp}
		fault, found := l.reply(ClientFault{query: uplinks.RouteQuery{To: n.Client, Mark: p.Mark}}, d.Reply)
		if !found {
			fault, found = l.reply(ClientFault{query: uplinks.RouteQuery{From: p.Source, To: n.Client, Mark: p.Mark}}, d.Reply)
		}
		if !found && d.Forwarded != nil {
			fault, found = l.inside(d)
		}
		if !found {
			fault, found = blockedClient(p, n, d.lan, state)
		}
		if found {
			faults = append(faults, fault)
		}
	}
	return faults
}

// clientLookUp looks up packets of one client.
type clientLookUp struct {
	path        health.Path
	network     ClientNetwork
	uplinkLinks []int
	lookUp      func(uplinks.RouteQuery) uplinks.RouteDecision
}

// reply looks up a reply to the client, where that to the peer is right.
func (l clientLookUp) reply(f ClientFault, toPeer uplinks.RouteDecision) (ClientFault, bool) {
	if !followsPath(l.path, toPeer) {
		return f, false
	}
	f.network, f.decision = l.network, l.lookUp(f.query)
	d := f.decision
	return f, d.Err != nil || d.Local || d.Link != l.path.Index && slices.Contains(l.uplinkLinks, d.Link)
}

// inside looks up a request of the client for a host inside, and its reply.
func (l clientLookUp) inside(d RouteLookups) (ClientFault, bool) {
	reply := ClientFault{inside: true, query: uplinks.RouteQuery{From: d.lan.Addr, To: l.network.Client, Mark: l.path.Mark, IIF: d.lan.Link}}
	if f, found := l.reply(reply, d.Forwarded.Reply); found {
		return f, true
	}
	ofPeer := d.Forwarded.Request
	if ofPeer.Err != nil || ofPeer.Local || slices.Contains(l.uplinkLinks, ofPeer.Link) {
		return ClientFault{}, false
	}
	f := ClientFault{network: l.network, inside: true, request: true, query: uplinks.RouteQuery{From: l.network.Client, To: d.lan.Addr, Mark: l.path.Mark, IIF: l.path.Index}}
	f.decision = l.lookUp(f.query)
	return f, f.decision.Err != nil || f.decision.Local || slices.Contains(l.uplinkLinks, f.decision.Link)
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

// checkClients returns the verdict on the first fault that matters here. Where a table of the path has a route of another program, or
// what takes the packets selects the path's own address too, it is No; otherwise it is unknown whether clients there come by this path at all.
func (s Snapshot) checkClients(p health.Path, faults []ClientFault) health.ProofCheck {
	for _, f := range faults {
		if f.inside && !s.translatesDestinations() {
			continue
		}
		c := s.clientCause(p, f)
		what := "replies to clients"
		if f.request {
			what = "requests of clients"
		}
		if f.inside {
			what += " of hosts inside"
		}
		c.Result, c.Scope = health.No, health.ClientScope
		c.Detail = fmt.Sprintf("%s in %s are lost: %s", what, f.network.Prefix, c.Detail)
		if f.network.Table == 0 && !s.selectsPath(p, f) {
			c.Result = health.Unknown
			c.Detail += fmt.Sprintf("; others are not, and whether clients there come by %s is unknown", p.Link)
		}
		return c
	}
	return health.ProofCheck{Result: health.Yes}
}

// clientPacket returns the packet that was looked up.
func (s Snapshot) clientPacket(p health.Path, f ClientFault) rpdb.Packet {
	return rpdb.Packet{Family: p.Family, From: f.query.From, To: f.query.To, In: s.inLink(f.query), Mark: uint32(f.query.Mark), Proto: rpdb.UDP}
}

// selectsPath reports whether the rule or policy that takes the packets of a fault selects the path's own address too: then the clients
// of the network, if it is more than a single address, get no reply from it, whichever way they come.
func (s Snapshot) selectsPath(p health.Path, f ClientFault) bool {
	db := s.Databases[p.Family]
	switch {
	case f.network.Prefix.IsSingleIP():
		return false
	case f.blocked && f.request:
		return isOfPath(f.policy.To, p)
	case f.blocked:
		return isOfPath(f.policy.From, p)
	case db == nil:
		return false
	}
	step, decided := decidingStep(db.LookUp(s.clientPacket(p, f)))
	return decided && step.Rule.Protocol != uplinks.Protocol && isOfPath(step.Rule.From, p)
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
