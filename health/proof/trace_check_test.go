package proof_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// lte is the path of the second uplink, and echoRequest a request on it.
var (
	lte = health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv4}, ID: 2, Link: "eth1", Index: 3, Up: true, Carrier: true,
		Source: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1"), Mark: 0x200, Mask: 0x1f00, Table: 8202}
	peer        = netip.MustParseAddrPort("203.0.113.254:40000")
	echoRequest = proof.Request{Path: lte, Kind: proof.Echo, Proto: "icmp", From: peer, To: netip.AddrPortFrom(lte.Source, 0)}
)

// observedAt returns observations at the hooks, with the marks of packet and connection from PreroutingMarked on.
func observedAt(mark, ctmark uint32, points ...proof.Hook) (all []proof.Observation) {
	for _, p := range points {
		s := proof.Observation{Hook: p, Proto: 1, Peer: peer.Addr(), Port: peer.Port()}
		if p < proof.ReplyPrerouting {
			s.Link = lte.Index
		}
		if p == proof.PreroutingStart {
			s.Host = echoRequest.To
		}
		if p != proof.PreroutingStart {
			s.Mark, s.Ctmark = mark, ctmark
		}
		all = append(all, s)
	}
	return all
}

func egressBy(link int, replies bool) []proof.EgressObservation {
	state := proof.StateNew
	if replies {
		state = proof.StateEstablished
	}
	return []proof.EgressObservation{{Proto: 1, Peer: peer.Addr(), Port: peer.Port(), Source: lte.Source, Link: link, NextHop: lte.Gateway, State: state}}
}

// untrackedEgress returns that a reply, or a copy of one, leaves by the link exempt from connection tracking.
func untrackedEgress(link int) []proof.EgressObservation {
	all := egressBy(link, false)
	all[0].State = untracked
	return all
}

// ofRequest returns the observations, which are those of an echo, as those of the request.
func ofRequest(q proof.Request, o proof.Observations) proof.Observations {
	proto := map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17}[q.Proto]
	o.Hooks, o.Egress = slices.Clone(o.Hooks), slices.Clone(o.Egress)
	for i, x := range o.Hooks {
		o.Hooks[i].Proto = proto
		switch {
		case x.Hook == proof.PreroutingStart:
			o.Hooks[i].Host = q.To
		case x.Host.Port() == 0:
			o.Hooks[i].Host = netip.AddrPortFrom(x.Host.Addr(), q.To.Port())
		}
	}
	for i := range o.Egress {
		o.Egress[i].Proto, o.Egress[i].Sport = proto, q.To.Port()
	}
	return o
}

// taken returns observations of a request whose connection another host has opened by another uplink.
func taken(points []proof.Hook) []proof.Observation {
	all := observedAt(0x100, 0x100, points...)
	for i := range all {
		all[i].Taken = all[i].Hook == proof.PreroutingMarked
	}
	return all
}

// at returns the observations with the address of the host's side.
func at(address string, all []proof.Observation) []proof.Observation {
	for i := range all {
		if all[i].Hook != proof.PreroutingStart {
			all[i].Host = netip.AddrPortFrom(netip.MustParseAddr(address), 0)
		}
	}
	return all
}

// in returns the observations with the state and the zone of connection tracking.
func in(state proof.ConnectionState, zone uint16, all []proof.Observation) []proof.Observation {
	for i := range all {
		all[i].State, all[i].Zone = state, zone
	}
	return all
}

// from returns the replies with another source.
func from(address string, all []proof.EgressObservation) []proof.EgressObservation {
	for i := range all {
		all[i].Source = netip.MustParseAddr(address)
	}
	return all
}

const foreignBit = 0x40000 // outside of the mask

// upTo returns the first n hooks of a request that the host accepts, and more.
func upTo(n int, more ...proof.Hook) []proof.Hook {
	in := []proof.Hook{proof.PreroutingStart, proof.PreroutingMarked, proof.InputStart, proof.InputEnd}
	return append(in[:n:n], more...)
}

// The results of CheckRoutes that explain a missing or misrouted reply.
var (
	missing     = health.ProofCheck{Result: health.No, Cause: health.RouteMissing, Detail: "no way out", Remedy: "apply"}
	sourceCheck = health.ProofCheck{Result: health.No, Cause: health.SourceCheck, Detail: "rp_filter", Remedy: "apply"}
)

var traceCheckCases = map[string]struct {
	change func(*proof.Request)
	hooks  []proof.Observation
	egress []proof.EgressObservation
	routes health.ProofCheck
	values map[uplinks.Tunable]string
	want   health.Cause // empty: yes
	why    string
	result health.Result
}{
	"the reply leaves by the ingress interface": {hooks: observedAt(0x200|foreignBit, 0x200|foreignBit, upTo(4, proof.OutputStart, proof.OutputEnd)...), egress: egressBy(3, true), result: health.Yes},
	"lost before the firewall":                  {want: health.FirewallDropped, result: health.Unknown, why: "XDP"},
	"dropped in raw":                            {hooks: observedAt(0, 0, upTo(1)...), want: health.FirewallDropped, result: health.Unknown, why: "raw"},
	"no mark on the connection":                 {hooks: observedAt(foreignBit, foreignBit, upTo(4)...), egress: egressBy(3, true), want: health.MarkNotSaved, result: health.Yes, why: "no mark"},
	"another uplink's mark":                     {hooks: observedAt(0x100, 0x100, upTo(4)...), egress: egressBy(2, true), want: health.MarkNotSaved, result: health.No, why: "0x100"},
	"the connection was there before":           {hooks: taken(upTo(4)), egress: egressBy(2, true), want: health.TraceUnavailable, result: health.Unknown, why: "other hosts"},
	"no mark on the packet":                     {hooks: observedAt(0, 0x200, upTo(4)...), egress: egressBy(3, true), want: health.MarkNotRestored, result: health.Yes, why: "PREROUTING"},
	"no mark on the reply":                      {hooks: append(observedAt(0x200, 0x200, upTo(4)...), observedAt(0, 0x200, proof.OutputStart, proof.OutputEnd)...), egress: egressBy(2, true), want: health.MarkNotRestored, result: health.No, why: "OUTPUT"},
	"no mark on the LAN host's reply":           {hooks: append(observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd)...), observedAt(0, 0x200, proof.ReplyPrerouting)...), egress: egressBy(2, true), want: health.MarkNotRestored, result: health.No, why: "LAN host"},
	"a copy of the reply for another host": {hooks: append(observedAt(0x200, 0x200, upTo(4, proof.OutputStart, proof.OutputEnd)...), in(untracked, 0, observedAt(0, 0, proof.OutputStart, proof.OutputEnd))...),
		egress: append(untrackedEgress(4), egressBy(3, true)...), result: health.Yes},
	"a reply that is not tracked":                {hooks: append(observedAt(0x200, 0x200, upTo(4)...), in(untracked, 0, observedAt(0, 0, proof.OutputEnd))...), egress: untrackedEgress(2), want: health.Untracked, result: health.No, why: "OUTPUT"},
	"another interface, explained by the routes": {hooks: observedAt(0x200, 0x200, upTo(4, proof.OutputStart, proof.OutputEnd)...), egress: egressBy(2, true), routes: missing, want: health.RouteMissing, result: health.No, why: "eth0: no way out"},
	"another interface, unexplained":             {hooks: observedAt(0x200, 0x200, upTo(4, proof.OutputStart, proof.OutputEnd)...), egress: egressBy(2, true), want: health.OtherCause, result: health.No, why: "eth0"},
	"the source check":                           {hooks: observedAt(0x200, 0x200, upTo(2)...), routes: sourceCheck, want: health.SourceCheck, result: health.No},
	"dropped in nat":                             {hooks: observedAt(0x200, 0x200, upTo(2)...), want: health.FirewallDropped, result: health.Unknown, why: "after mangle"},
	"dropped in INPUT":                           {hooks: observedAt(0x200, 0x200, upTo(3)...), want: health.FirewallDropped, result: health.Unknown, why: "INPUT"},
	"dropped in FORWARD":                         {hooks: observedAt(0x200, 0x200, upTo(2, proof.ForwardStart)...), want: health.FirewallDropped, result: health.Unknown, why: "FORWARD"},
	"the LAN host's reply is dropped":            {hooks: observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd, proof.ReplyPrerouting)...), want: health.FirewallDropped, result: health.Unknown, why: "LAN host"},
	"no route for the LAN host's reply":          {hooks: observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd, proof.ReplyPrerouting)...), routes: missing, want: health.RouteMissing, result: health.No},
	"no route for the request":                   {hooks: observedAt(0x200, 0x200, upTo(2)...), routes: missing, want: health.RouteMissing, result: health.No},
	"dropped in OUTPUT":                          {hooks: observedAt(0x200, 0x200, upTo(4, proof.OutputStart)...), want: health.FirewallDropped, result: health.Unknown, why: "OUTPUT"},
	"dropped after OUTPUT":                       {hooks: observedAt(0x200, 0x200, upTo(4, proof.OutputStart, proof.OutputEnd)...), want: health.FirewallDropped, result: health.Unknown, why: "after OUTPUT"},
	"no route for a reply":                       {hooks: observedAt(0x200, 0x200, upTo(4)...), routes: missing, want: health.RouteMissing, result: health.No},
	"echoes are ignored": {hooks: observedAt(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown, why: "icmp_echo_ignore_all = 1",
		values: map[uplinks.Tunable]string{{Name: "net.ipv4.icmp_echo_ignore_all"}: "1"}},
	"no reply":                           {hooks: observedAt(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown},
	"a request that leaves by an uplink": {hooks: observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd, proof.RequestEgress)...), want: health.NoAnswer, result: health.Unknown, why: "leave again by an uplink"},
	"a wildcard UDP server": {hooks: append(at("192.0.2.2", observedAt(0x200, 0x200, upTo(4)...)), at("198.51.100.2", observedAt(0, 0, proof.OutputStart))...),
		egress: from("198.51.100.2", egressBy(2, false)), want: health.WildcardUDP, result: health.No, why: "received the request at 192.0.2.2:0 and replied from 198.51.100.2, by eth0",
		change: func(q *proof.Request) { q.Kind, q.Proto = proof.Service, "udp" }},
	"a silent UDP server": {hooks: observedAt(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown, why: "UDP server",
		change: func(q *proof.Request) { q.Kind, q.Proto = proof.Service, "udp" }},
	"the reply to another request": {hooks: observedAt(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown,
		egress: []proof.EgressObservation{{Proto: 1, Peer: peer.Addr(), Port: 1, Link: 2}}},
}

func TestCheckTracesNamesWhereThePacketWasLost(t *testing.T) {
	for name, c := range traceCheckCases {
		t.Run(name, func(t *testing.T) {
			q := echoRequest
			if c.change != nil {
				c.change(&q)
			}
			g := proof.Snapshot{Facts: uplinkstest.Facts(), Values: c.values}
			got := g.CheckTraces([]proof.Request{q}, ofRequest(q, proof.Observations{Hooks: c.hooks, Egress: c.egress}).Traces(), map[health.Key]health.ProofCheck{lte.Key: c.routes})[0]
			if got.Check.Result != c.result || got.Check.Cause != c.want || !strings.Contains(got.Check.Detail, c.why) {
				t.Errorf("%+v, want %s %s %q", got.Check, c.result, c.want, c.why)
			}
			if c.result != health.Yes && (got.Check.Detail == "" || got.Check.Remedy == "") {
				t.Errorf("no detail or no remedy: %+v", got.Check)
			}
		})
	}
}

func TestSummarize(t *testing.T) {
	yes := proof.RequestResult{Check: health.ProofCheck{Result: health.Yes}}
	no := proof.RequestResult{Check: health.ProofCheck{Result: health.No, Cause: health.MarkNotSaved}}
	later := proof.RequestResult{Check: health.ProofCheck{Result: health.No, Cause: health.MarkNotRestored}}
	filtered := proof.RequestResult{Check: health.ProofCheck{Result: health.Unknown, Cause: health.FirewallDropped}}
	for name, c := range map[string]struct {
		results []proof.RequestResult
		want    health.Result
		cause   health.Cause
	}{
		"nothing":          {nil, health.Unknown, health.TraceUnavailable},
		"all yes":          {[]proof.RequestResult{yes, yes}, health.Yes, ""},
		"one is no":        {[]proof.RequestResult{yes, no, later}, health.No, health.MarkNotSaved},
		"some unknown":     {[]proof.RequestResult{filtered, yes, filtered}, health.Yes, ""},
		"all unknown":      {[]proof.RequestResult{filtered, filtered}, health.Unknown, health.FirewallDropped},
		"no after unknown": {[]proof.RequestResult{filtered, no}, health.No, health.MarkNotSaved},
	} {
		if got := proof.Summarize(c.results); got.Result != c.want || got.Cause != c.cause {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
