package proof

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/health"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/egress"
)

// outputCase is what was observed of a reply behind its route, and the verdict.
type outputCase struct {
	end    []Observation
	wire   []WireObservation
	output Output
	want   string // result and cause; "yes": nothing is wrong
	reason string
}

const replyPort = 40000

var (
	outputGateway = netip.MustParseAddr("192.0.2.1")
	outputPath    = health.Path{Link: "eth1", Index: 2, Gateway: outputGateway}
	outputRequest = Request{Path: outputPath, Kind: Listener, Proto: "tcp", From: netip.MustParseAddrPort("203.0.113.9:40000"), To: netip.MustParseAddrPort("192.0.2.2:443")}
	outputReply   = EgressObservation{Proto: protocolTCP, Peer: outputRequest.From.Addr(), Port: replyPort, Source: outputRequest.To.Addr(), Link: 2, NextHop: outputGateway, State: StateEstablished}
	outputLinks   = map[int]egress.Link{1: {Index: 1, Name: "eth0"}, 2: {Index: 2, Name: "eth1", Ethernet: true}}
)

func passed(source string) []Observation {
	return []Observation{{Hook: PostroutingPassed, Proto: protocolTCP, Host: netip.MustParseAddrPort(source + ":443"), Link: 2}}
}

func onWire(link int, source, mac string) []WireObservation {
	return []WireObservation{{Proto: protocolTCP, Host: netip.MustParseAddrPort(source + ":443"), Link: link, MAC: mac}}
}

func neighbourOf(mac string, s egress.NeighbourState) egress.State {
	return egress.State{Links: outputLinks, Neighbours: []egress.Neighbour{{Link: 2, Addr: outputGateway, MAC: mac, State: s}}}
}

var (
	dropStep = Step{Reply: true, AfterRouting: true, Place: "table t", Rule: "drop", Drops: true}
	gwMAC    = "\x02\x00\x00\x00\x00\x01"
	wrongMAC = "\x02\x00\x00\x00\x00\x99"
)

var outputCases = map[string]outputCase{
	"it leaves":                       {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", gwMAC), want: "yes"},
	"another's packet is on the wire": {end: passed("192.0.2.2"), wire: append(onWire(1, "198.51.100.2", ""), onWire(2, "192.0.2.2", gwMAC)...), want: "yes"},
	"it is dropped in POSTROUTING":    {output: Output{Steps: []Step{dropStep}}, want: "no reply-dropped", reason: "by table t: drop"},
	"it is dropped for some clients":  {output: Output{Steps: []Step{{Reply: true, AfterRouting: true, Drops: true, ByAddress: true}}}, want: "unknown firewall"},
	"it is dropped by something else": {output: Output{Steps: []Step{{Reply: true, Drops: true}}}, want: "no reply-dropped", reason: "by another program"},
	"it gets another source":          {end: passed("198.51.100.2"), want: "no reply-rewritten", reason: "198.51.100.2 in POSTROUTING"},
	"it gets another source port":     {end: []Observation{{Hook: PostroutingPassed, Proto: protocolTCP, Host: netip.MustParseAddrPort("192.0.2.2:444"), Link: 2}}, want: "no reply-rewritten", reason: "source port 444 in POSTROUTING"},
	"another port at egress":          {end: passed("192.0.2.2"), wire: []WireObservation{{Proto: protocolTCP, Host: netip.MustParseAddrPort("192.0.2.2:444"), Link: 2}}, want: "no reply-rewritten", reason: "192.0.2.2:444 at the egress"},
	"its frame is rewritten":          {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", wrongMAC), output: Output{State: neighbourOf(gwMAC, egress.Reachable)}, want: "no reply-rewritten", reason: "destination 02:00:00:00:00:99 at the egress"},
	"its frame has a permanent entry": {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", gwMAC), output: Output{State: neighbourOf(gwMAC, egress.Reachable)}, want: "yes"},
	"a policy takes it in POSTROUTING": {output: Output{State: egress.State{Links: outputLinks, Policies: []egress.Policy{{Direction: egress.Out, From: netip.MustParsePrefix("192.0.2.2/32"), To: netip.MustParsePrefix("0.0.0.0/0"), Templates: 1}}}},
		want: "no ipsec-policy", reason: "into a tunnel"},
	"it is dropped at egress":           {end: passed("192.0.2.2"), want: "no reply-dropped", reason: "at the egress of eth1"},
	"it is redirected":                  {end: passed("192.0.2.2"), wire: onWire(1, "192.0.2.2", ""), want: "no reply-redirected", reason: "by eth0 instead of eth1"},
	"it gets another source at egress":  {end: passed("192.0.2.2"), wire: onWire(2, "198.51.100.2", ""), want: "no reply-rewritten", reason: "at the egress of eth1"},
	"it is sent to another host":        {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", wrongMAC), output: Output{State: neighbourOf(wrongMAC, egress.Permanent), MACs: map[egress.LinkAddr]string{{Link: 2, Addr: outputGateway}: gwMAC}}, want: "no neighbour", reason: "02:00:00:00:00:99 PERMANENT"},
	"it is sent to the right host":      {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", gwMAC), output: Output{State: neighbourOf(gwMAC, egress.Permanent), MACs: map[egress.LinkAddr]string{{Link: 2, Addr: outputGateway}: gwMAC}}, want: "yes"},
	"its gateway cannot be resolved":    {end: kept(), output: Output{State: neighbourOf("", egress.Incomplete)}, want: "unknown neighbour", reason: "INCOMPLETE"},
	"its gateway has just been found":   {end: kept(), output: Output{State: neighbourOf(gwMAC, egress.Reachable)}, want: "yes"},
	"all is dropped before it resolves": {end: kept(), output: Output{State: neighbourOf("", egress.Incomplete), Steps: []Step{{Reply: true, AfterRouting: true, Listed: true, Place: "table n", Rule: "drop", Drops: true}}}, want: "no reply-dropped", reason: "by table n: drop"},
	"there is no room for its gateway":  {end: kept(), output: Output{State: egress.State{Links: outputLinks}, FullTables: map[uplinks.Family]bool{uplinks.IPv4: true}}, want: "unknown neighbour", reason: "table is full (net.ipv4.neigh.default.gc_thresh3 = 1024)"},
	"there is no room for others":       {end: kept(), output: Output{State: egress.State{Links: outputLinks}, FullTables: map[uplinks.Family]bool{uplinks.IPv6: true}}, want: "unknown neighbour", reason: "no entry"},
	"a server sends to neighbours only": {end: passed("192.0.2.2"), wire: []WireObservation{{Proto: protocolTCP, Host: netip.MustParseAddrPort("192.0.2.2:443"), Link: 2, TTL: 1}}, want: "yes"}, // a server has chosen that
	"a policy takes it": {end: kept(), output: Output{State: egress.State{Links: outputLinks, Policies: []egress.Policy{{Direction: egress.Out, From: netip.MustParsePrefix("0.0.0.0/0"), To: netip.MustParsePrefix("0.0.0.0/0"), Templates: 1}}}},
		want: "no ipsec-policy", reason: "into a tunnel"},
	"a filter takes it": {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", gwMAC), output: Output{State: egress.State{Links: outputLinks, Filters: []egress.Filter{{Link: 2, Parent: egress.ClsactEgress, Protocol: egress.EtherAll, Kind: "matchall", Actions: []egress.Action{{Kind: "gact", Control: egress.Shot}}}}}},
		want: "no traffic-control", reason: "egress pref 0 matchall drops the packet"},
	"a filter may take it": {end: passed("192.0.2.2"), wire: onWire(2, "192.0.2.2", gwMAC), output: Output{State: egress.State{Links: outputLinks, Filters: []egress.Filter{{Link: 2, Parent: egress.ClsactEgress, Protocol: egress.EtherAll, Kind: "bpf", Direct: true}}}},
		want: "unknown traffic-control", reason: "runs the BPF program"},
}

// kept returns the observation of a reply that does not pass to the egress of its link.
func kept() []Observation {
	all := passed("192.0.2.2")
	all[0].Hook = PostroutingEnd
	return all
}

func TestRepliesAreWatchedToTheLastPlace(t *testing.T) {
	s := Snapshot{Values: map[uplinks.Tunable]string{uplinks.NeighbourLimit(uplinks.IPv4): "1024"}}
	s.Facts.Links = map[string]uplinks.Link{"eth0": {Name: "eth0", Index: 1}, "eth1": {Name: "eth1", Index: 2}}
	for name, c := range outputCases {
		if c.output.Links == nil {
			c.output.Links = outputLinks
		}
		o := Observations{Egress: []EgressObservation{outputReply}, WireObserved: true, Output: &c.output}
		for _, x := range c.end {
			x.Peer, x.Port = outputReply.Peer, replyPort
			o.Hooks = append(o.Hooks, x)
		}
		for _, w := range c.wire {
			w.Peer, w.Port = outputReply.Peer, replyPort
			o.Wire = append(o.Wire, w)
		}
		for i := range c.output.Steps {
			c.output.Steps[i].Peer, c.output.Steps[i].Port = outputReply.Peer, replyPort
		}
		got := s.checkOutput(outputRequest, o.Traces().of(outputRequest), health.ProofCheck{Result: health.Yes})
		if short := strings.TrimSpace(string(got.Result) + " " + string(got.Cause)); short != c.want || !strings.Contains(got.Detail, c.reason) {
			t.Errorf("%s: %s: %s, want %s: %s", name, short, got.Detail, c.want, c.reason)
		}
		if got.Result != health.Yes && got.Remedy == "" {
			t.Errorf("%s: no remedy", name)
		}
	}
}

func TestPoliciesKeepTheHostFromReplying(t *testing.T) {
	block := func(d egress.Direction) *Output {
		return &Output{State: egress.State{Policies: []egress.Policy{{Direction: d, From: netip.MustParsePrefix("0.0.0.0/0"), To: netip.MustParsePrefix("0.0.0.0/0"), Block: true}}}}
	}
	fromLAN := []Observation{{Hook: ReplyPrerouting, Host: netip.MustParseAddrPort("198.18.0.2:22"), Link: 4}}
	filtered := health.ProofCheck{Result: health.Unknown, Cause: health.FirewallDropped}
	for _, d := range []egress.Direction{egress.Forward, egress.Out} {
		if c := (Snapshot{}).checkOutput(outputRequest, trace{hooks: byHook{ReplyPrerouting: fromLAN}, output: block(d)}, filtered); c.Cause != health.IPsecPolicy || c.Result != health.No {
			t.Errorf("a reply of a LAN host, direction %d: %+v", d, c)
		}
	}
	if c := (Snapshot{}).checkOutput(outputRequest, trace{hooks: byHook{OutputEnd: passed("192.0.2.2")}, output: block(egress.Out)}, filtered); c.Cause != health.IPsecPolicy {
		t.Errorf("a reply that is dropped behind OUTPUT: %+v", c)
	}
	silent := health.ProofCheck{Result: health.Unknown, Cause: health.NoAnswer}
	delivered := byHook{InputEnd: {{Host: outputRequest.To}}}
	for _, d := range []egress.Direction{egress.In, egress.Out} {
		if c := (Snapshot{}).checkOutput(outputRequest, trace{hooks: delivered, output: block(d)}, silent); c.Cause != health.IPsecPolicy || c.Result != health.No {
			t.Errorf("direction %d: %+v", d, c)
		}
	}
	if c := (Snapshot{}).checkOutput(outputRequest, trace{hooks: delivered, output: &Output{}}, silent); c != silent {
		t.Errorf("without a policy: %+v", c)
	}
	dropped := health.ProofCheck{Result: health.Unknown, Cause: health.FirewallDropped, Detail: "it is dropped"}
	if c := (Snapshot{}).checkOutput(outputRequest, trace{output: &Output{}, steps: []Step{{Place: "table f", Rule: "policy drop", Drops: true}}}, dropped); c.Detail != "it is dropped, by table f: policy drop" {
		t.Errorf("a firewall: %+v", c)
	}
}

func TestRepliesThatExpireAreLost(t *testing.T) {
	closed := outputRequest
	closed.Kind = Closed
	reply := passed("192.0.2.2")
	wire := onWire(2, "192.0.2.2", gwMAC)
	wire[0].TTL, reply[0].Peer, reply[0].Port, wire[0].Peer, wire[0].Port = 1, outputReply.Peer, replyPort, outputReply.Peer, replyPort
	for value, want := range map[string]string{"64": "no reply-rewritten", "1": "no other"} {
		s := Snapshot{Values: map[uplinks.Tunable]string{{Name: "net.ipv4.ip_default_ttl"}: value}}
		s.Facts.Links = map[string]uplinks.Link{"eth1": {Name: "eth1", Index: 2}}
		o := Observations{Hooks: reply, Egress: []EgressObservation{outputReply}, Wire: wire, WireObserved: true, Output: &Output{State: neighbourOf(gwMAC, egress.Reachable)}}
		got := s.checkOutput(closed, o.Traces().of(closed), health.ProofCheck{Result: health.Yes})
		if short := string(got.Result) + " " + string(got.Cause); short != want || !strings.Contains(got.Detail, "next router drops") {
			t.Errorf("the initial TTL is %s: %s: %s, want %s", value, short, got.Detail, want)
		}
	}
}

// A rule that breaks neighbour discovery loses the replies of IPv6, though the kernel may still know the router.
func TestRepliesWithoutNeighbourDiscoveryAreLost(t *testing.T) {
	rule := ListedRule{Rule: foreign.Rule{Text: "ip6 hoplimit set 65", Rewrites: "ip6 hoplimit"}, Place: "table ip6 t, chain p"}
	for family, want := range map[uplinks.Family]health.Result{uplinks.IPv4: health.Yes, uplinks.IPv6: health.No} {
		q := outputRequest
		q.Path.Family = family
		state := neighbourOf(gwMAC, egress.Reachable)
		traced := trace{hooks: byHook{PostroutingPassed: passed("192.0.2.2")}, egress: []EgressObservation{outputReply}, wire: onWire(2, "192.0.2.2", gwMAC), wireObserved: true,
			output: &Output{State: state, Discovery: map[int]ListedRule{q.Path.Index: rule}}}
		got := (Snapshot{}).checkOutput(q, traced, health.ProofCheck{Result: health.Yes})
		if got.Result != want || want == health.No && (got.Cause != health.NeighbourCause || !strings.Contains(got.Detail, rule.String())) {
			t.Errorf("%s: %+v", family, got)
		}
	}
}
