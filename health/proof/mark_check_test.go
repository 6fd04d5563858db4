package proof_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks/foreign"
	"replypath/uplinks"
)

const (
	newConnection = proof.StateNew
	aReply        = proof.StateEstablished
	untracked     = proof.StateUntracked
)

// delivered returns the observations of a request to the host that has the path's mark.
func delivered() []proof.Observation {
	return at("192.0.2.2", in(newConnection, 0, observedAt(0x200, 0x200, upTo(4)...)))
}

// forwarded returns those of a request that is forwarded to a LAN host.
func forwarded() []proof.Observation {
	return at("198.18.0.2", in(newConnection, 0, observedAt(0x200, 0x200, upTo(2, proof.ForwardStart, proof.ForwardEnd)...)))
}

// fromLAN returns those of the LAN host's reply.
func fromLAN(all []proof.Observation) []proof.Observation {
	for i := range all {
		all[i].Link = 4
	}
	return at("198.18.0.2", all)
}

// markCheckCases have a reply that leaves by the link (3: the right one), and the cause that is found for it.
var markCheckCases = map[string]struct {
	tcp      bool
	hooks    []proof.Observation
	egress   []proof.EgressObservation
	firewall []foreign.Rule
	rules    []uplinks.Rule // of other programs
	want     health.Cause
	result   health.Result
	why      []string
}{
	"NOTRACK of requests": {hooks: slices.Concat(in(untracked, 0, observedAt(0, 0, upTo(4)...)), at("192.0.2.2", in(untracked, 0, observedAt(0, 0, proof.OutputStart, proof.OutputEnd)))),
		egress: egressBy(3, false), firewall: []foreign.Rule{{Tool: "iptables-save", Location: "raw PREROUTING", Hook: "PREROUTING", NoTrack: true, Text: "-A PREROUTING -j NOTRACK"}},
		want: health.Untracked, result: health.Yes, why: []string{"exempt from connection tracking in PREROUTING", "raw PREROUTING: -A PREROUTING -j NOTRACK", "leaves by eth1 all the same", "from 192.0.2.2 lookup 8202", "behind DNAT"}},
	"NOTRACK of replies": {hooks: slices.Concat(delivered(), in(untracked, 0, observedAt(0x200, 0, proof.OutputStart, proof.OutputEnd))),
		egress: egressBy(3, false), want: health.Untracked, result: health.Yes, why: []string{"exempt from connection tracking in OUTPUT"}},
	"NOTRACK, and the reply strays": {hooks: slices.Concat(in(untracked, 0, observedAt(0, 0, upTo(4)...)), at("192.0.2.2", in(untracked, 0, observedAt(0, 0, proof.OutputStart, proof.OutputEnd)))),
		egress: egressBy(2, false), rules: []uplinks.Rule{{Priority: 50, Mark: 0, Mask: 0x1f00, Table: 77}},
		want: health.Untracked, result: health.No, why: []string{"would leave by eth0", "priority 50 from all fwmark 0x0/0x1f00 lookup 77"}},
	"a proxy of handshakes": {tcp: true, hooks: slices.Concat(in(untracked, 0, observedAt(0, 0, upTo(3)...)), in(untracked, 0, observedAt(0, 0, proof.OutputStart, proof.OutputEnd))),
		egress: egressBy(3, false), firewall: []foreign.Rule{{SYNProxy: true, Text: "-j SYNPROXY"}}, want: health.SYNProxy, result: health.Yes, why: []string{"-j SYNPROXY"}},
	"a zone of requests": {hooks: slices.Concat(in(newConnection, 5, observedAt(0x200, 0x200, upTo(4)...)), in(newConnection, 0, observedAt(0x200, 0, proof.OutputStart, proof.OutputEnd))),
		egress: egressBy(3, false), firewall: []foreign.Rule{{Zone: true, Text: "-j CT --zone 5"}}, want: health.ConntrackZone, result: health.Yes, why: []string{"zone 5", "-j CT --zone 5"}},
	"a zone behind DNAT": {hooks: slices.Concat(in(newConnection, 5, forwarded()), fromLAN(in(newConnection, 0, observedAt(0, 0, proof.ReplyPrerouting)))),
		egress: from("198.18.0.2", egressBy(2, false)), want: health.ConntrackZone, result: health.No, why: []string{"answered from 198.18.0.2, by eth0", "zone 5"}},
	"NOTRACK of the LAN host's reply": {hooks: slices.Concat(forwarded(), fromLAN(in(untracked, 0, observedAt(0, 0, proof.ReplyPrerouting)))),
		egress: from("198.18.0.2", egressBy(2, false)), want: health.Untracked, result: health.No, why: []string{"the reply of the LAN host", "PREROUTING"}},
	"a mark in OUTPUT, and the rule for the address": {hooks: slices.Concat(delivered(), in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart)), at("192.0.2.2", in(aReply, 0, observedAt(1, 0x200, proof.OutputEnd)))),
		egress: egressBy(3, true), firewall: []foreign.Rule{{Hook: "OUTPUT", WritesMark: true, MarkBits: 0xffffffff, Location: "mangle OUTPUT", Text: "-j MARK --set-xmark 0x1"}},
		want: health.OutputMark, result: health.Yes, why: []string{"has the mark 0x1", "mangle OUTPUT", "from 192.0.2.2 lookup 8202"}},
	"the whole mark is reset in OUTPUT": {hooks: slices.Concat(delivered(), in(aReply, 0, observedAt(0, 0x200, proof.OutputStart, proof.OutputEnd))),
		egress: egressBy(3, true), firewall: []foreign.Rule{{Hook: "OUTPUT", WritesMark: true, MarkBits: 0xffffffff, Text: "meta mark set 0x0"}},
		want: health.OutputMark, result: health.Yes, why: []string{"meta mark set 0x0"}},
	"foreign bits in OUTPUT, and a rule for them": {hooks: slices.Concat(delivered(), in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart)), at("192.0.2.2", in(aReply, 0, observedAt(0x10200, 0x200, proof.OutputEnd)))),
		egress: egressBy(2, true), rules: []uplinks.Rule{{Priority: 100, Mark: 0x10000, Mask: 0x10000, Table: 77}},
		firewall: []foreign.Rule{{Hook: "OUTPUT", WritesMark: true, MarkBits: 0x10000, MarkValue: 0x10000, Location: "inet xray out", Text: "meta mark set meta mark | 0x10000"}},
		want:     health.OutputMark, result: health.No, why: []string{"would leave by eth0", "0x10200", "priority 100 from all fwmark 0x10000/0x10000 lookup 77", "inet xray out"}},
	"a mark on the LAN host's reply, behind mangle": {hooks: slices.Concat(forwarded(), fromLAN(in(aReply, 0, observedAt(0x200, 0x200, proof.ReplyPrerouting))), fromLAN(in(aReply, 0, observedAt(0, 0, proof.ReplyForward)))),
		egress: from("198.18.0.2", egressBy(2, true)), firewall: []foreign.Rule{{Hook: "PREROUTING", WritesMark: true, MarkBits: 0xffffffff, Text: "meta mark set 0x0"}},
		want: health.PreroutingMark, result: health.No, why: []string{"would leave by eth0", "the reply of the LAN host", "meta mark set 0x0"}},
	"a mark on the connection in INPUT": {hooks: slices.Concat(at("192.0.2.2", in(newConnection, 0, observedAt(0x200, 0x200, upTo(3)...))), at("192.0.2.2", in(newConnection, 0, observedAt(0x200, 0x100, proof.InputEnd))), in(aReply, 0, observedAt(0x200, 0x100, proof.OutputStart)), at("192.0.2.2", in(aReply, 0, observedAt(0x100, 0x100, proof.OutputEnd)))),
		egress: egressBy(2, true), firewall: []foreign.Rule{{Hook: "INPUT", WritesConnmark: true, MarkBits: 0x1f00, Text: "-j CONNMARK --set-xmark 0x100/0x1f00"}},
		want: health.MarkNotSaved, result: health.No, why: []string{"would leave by eth0", "connection in INPUT", "the mark 0x100 instead of the mark 0x200", "-j CONNMARK --set-xmark 0x100/0x1f00"}},
	"a mark on the connection in FORWARD": {hooks: slices.Concat(at("198.18.0.2", in(newConnection, 0, observedAt(0x200, 0x200, upTo(2, proof.ForwardStart)...))), at("198.18.0.2", in(newConnection, 0, observedAt(0x200, 0, proof.ForwardEnd))), fromLAN(in(aReply, 0, observedAt(0, 0, proof.ReplyPrerouting)))),
		egress: from("198.18.0.2", egressBy(2, true)), firewall: []foreign.Rule{{Hook: "FORWARD", WritesConnmark: true, MarkBits: 0xffffffff, Text: "ct mark set 0x0"}},
		want: health.MarkNotSaved, result: health.No, why: []string{"would leave by eth0", "connection in FORWARD", "no mark instead of the mark 0x200", "ct mark set 0x0"}},
	"a mark on the connection in mangle POSTROUTING": {hooks: slices.Concat(delivered(), at("192.0.2.2", in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart, proof.OutputEnd))), at("192.0.2.2", in(aReply, 0, observedAt(0x200, 0x100, proof.ReplyCounted)))),
		egress: egressBy(3, true), firewall: []foreign.Rule{{Hook: "POSTROUTING", WritesConnmark: true, MarkBits: 0x1f00, Text: "-j CONNMARK --set-xmark 0x100/0x1f00"}}, rules: []uplinks.Rule{{Priority: 100, Mark: 0x100, Mask: 0x1f00, Table: 77}},
		want: health.MarkNotSaved, result: health.No, why: []string{"later replies would leave by eth0", "connection in POSTROUTING", "the mark 0x100 instead of the mark 0x200", "-j CONNMARK --set-xmark 0x100/0x1f00"}},
	"the mark of the connection is cleared at the end of POSTROUTING": {hooks: slices.Concat(delivered(), at("192.0.2.2", in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart, proof.OutputEnd))), at("192.0.2.2", in(aReply, 0, observedAt(0x200, 0, proof.ReplyCounted, proof.PostroutingPassed)))),
		egress: egressBy(3, true), want: health.MarkNotSaved, result: health.Yes, why: []string{"has no mark instead of the mark 0x200", "later replies leave by eth1 all the same"}},
	"a port of a bridge": {hooks: func() []proof.Observation {
		all := observedAt(0, 0, upTo(4)...)
		for i := range all {
			all[i].Link = 4
		}
		return all
	}(), egress: egressBy(3, true), want: health.Bridged, result: health.No, why: []string{"come in by lan0", "eth1"}},
	"a rule for a port": {tcp: true, hooks: slices.Concat(delivered(), at("192.0.2.2", in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart, proof.OutputEnd)))),
		egress: egressBy(2, true), rules: []uplinks.Rule{{Priority: 90, Table: 77}}, want: health.RuleShadowed, result: health.No, why: []string{"would leave by eth0", "priority 90 from all lookup 77"}},
	"the right interface, another gateway": {hooks: slices.Concat(delivered(), at("192.0.2.2", in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart, proof.OutputEnd)))),
		egress: []proof.EgressObservation{{Proto: 1, Peer: peer.Addr(), Port: peer.Port(), Source: lte.Source, Link: 3, NextHop: netip.MustParseAddr("192.0.2.99"), State: aReply}},
		want:   health.RouteMissing, result: health.No, why: []string{"by eth1 to 192.0.2.99 instead of 192.0.2.1"}},
	"another source, written behind connection tracking": {hooks: slices.Concat(delivered(), in(aReply, 0, observedAt(0x200, 0x200, proof.OutputStart, proof.OutputEnd))),
		egress: from("198.51.100.2", egressBy(3, true)), want: health.WrongSource, result: health.No, why: []string{"answered from 198.51.100.2"}},
	"another source": {tcp: true, hooks: delivered(), egress: from("198.51.100.2", egressBy(3, false)), want: health.WrongSource, result: health.No, why: []string{"answered from 198.51.100.2"}},
}

func TestTheCauseOfAMarkOrRoute(t *testing.T) {
	for name, c := range markCheckCases {
		t.Run(name, func(t *testing.T) {
			s, q := snapshot(), echoRequest
			if c.tcp {
				q.Kind, q.Proto, q.To = proof.Listener, "tcp", netip.AddrPortFrom(lte.Source, 443)
			}
			for _, r := range c.rules {
				addForeignRule(&s, r, 0)
			}
			s.Firewall, s.FirewallRead = c.firewall, true
			got := s.CheckTraces([]proof.Request{q}, ofRequest(q, proof.Observations{Hooks: c.hooks, Egress: c.egress}).Traces(), nil)[0].Check
			if got.Result != c.result || got.Cause != c.want || got.Remedy == "" {
				t.Errorf("%+v, want %s %s", got, c.result, c.want)
			}
			for _, words := range c.why {
				if !strings.Contains(got.Detail, words) {
					t.Errorf("%q lacks %q", got.Detail, words)
				}
			}
		})
	}
}

// A reply that was sent and lost is no reason for a yes, though other requests are answered.
func TestLostRepliesAreUnknown(t *testing.T) {
	answered := proof.Request{Path: lte, Kind: proof.Listener, Proto: "tcp", From: netip.AddrPortFrom(peer.Addr(), 7), To: netip.AddrPortFrom(lte.Source, 443)}
	answeredAt := delivered()
	for i := range answeredAt {
		answeredAt[i].Port = 7
	}
	answer := egressBy(3, true)
	answer[0].Port = 7
	of := ofRequest(answered, proof.Observations{Hooks: answeredAt, Egress: answer})
	answeredAt, answer = of.Hooks, of.Egress
	for name, c := range map[string]struct {
		hooks []proof.Observation
		want  health.Result
	}{
		"the firewall drops the request":         {observedAt(0x200, 0x200, upTo(3)...), health.Yes},
		"the firewall drops the reply":           {slices.Concat(delivered(), observedAt(0x200, 0x200, proof.OutputStart)), health.Unknown},
		"the kernel does not answer":             {delivered(), health.Unknown},
		"the LAN host's reply is dropped":        {slices.Concat(forwarded(), fromLAN(observedAt(0x200, 0x200, proof.ReplyPrerouting))), health.Unknown},
		"the request is forwarded, and that all": {forwarded(), health.Yes},
	} {
		s := snapshot()
		results := s.CheckTraces([]proof.Request{echoRequest, answered}, proof.Observations{Hooks: append(c.hooks, answeredAt...), Egress: answer}.Traces(), nil)
		if got := proof.Summarize(results); got.Result != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

// What is wrong for every reply of this host is wrong for those of LAN hosts, for which no rule selects the address.
func TestWarningsOfAllRequestsFailWhereDestinationsAreTranslated(t *testing.T) {
	unsaved := func(port uint16) ([]proof.Observation, proof.EgressObservation) {
		hooks := at("192.0.2.2", in(newConnection, 0, observedAt(0, 0, upTo(4, proof.OutputStart, proof.OutputEnd)...)))
		for i := range hooks {
			hooks[i].Port = port
		}
		e := egressBy(3, true)[0]
		e.Port = port
		return hooks, e
	}
	second := echoRequest
	second.From = netip.AddrPortFrom(peer.Addr(), 7)
	one, egressOne := unsaved(peer.Port())
	two, egressTwo := unsaved(7)
	fine := delivered()
	for i := range fine {
		fine[i].Port = 7
	}
	dnat := []foreign.Rule{{TranslatesDestination: true}}
	for name, c := range map[string]struct {
		hooks    []proof.Observation
		firewall []foreign.Rule
		read     bool
		want     health.Result
	}{
		"all requests, and DNAT":               {slices.Concat(one, two), dnat, true, health.No},
		"all requests, and no DNAT":            {slices.Concat(one, two), nil, true, health.Yes},
		"all requests, and it is not known":    {slices.Concat(one, two), nil, false, health.Yes},
		"one of the requests":                  {slices.Concat(one, fine), dnat, true, health.Yes},
		"all, and one was forwarded and right": {slices.Concat(one, two, observedAt(0x200, 0x200, proof.ForwardEnd)), dnat, true, health.Yes},
	} {
		s := snapshot()
		s.Firewall, s.FirewallRead = c.firewall, c.read
		results := s.CheckTraces([]proof.Request{echoRequest, second}, proof.Observations{Hooks: c.hooks, Egress: []proof.EgressObservation{egressOne, egressTwo}}.Traces(), nil)
		if got := proof.Summarize(results); got.Result != c.want || got.Cause != health.MarkNotSaved {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
