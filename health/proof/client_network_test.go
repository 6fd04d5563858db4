package proof_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/uplinkstest"
)

var clients = netip.MustParsePrefix("203.0.113.0/24")

// selectorCases have selectors, and the networks with an address of each that clients are looked up for.
var selectorCases = map[string]struct {
	selectors proof.Selectors
	want      string
}{
	"none":                                 {},
	"a rule by destination":                {proof.Selectors{Rules: []rpdb.Rule{{To: clients}}}, "203.0.113.0/24 203.0.113.1"},
	"a rule by source":                     {proof.Selectors{Rules: []rpdb.Rule{{From: clients}}}, "203.0.113.0/24 203.0.113.1"},
	"a rule of replypath":                  {selectors: proof.Selectors{Rules: []rpdb.Rule{{To: clients, Protocol: uplinks.Protocol}}}},
	"a rule for all others":                {selectors: proof.Selectors{Rules: []rpdb.Rule{{To: clients, Not: true}}}},
	"a rule for a private network":         {selectors: proof.Selectors{Rules: []rpdb.Rule{{To: netip.MustParsePrefix("10.0.0.0/8")}}}},
	"a rule for a network of the host":     {selectors: proof.Selectors{Rules: []rpdb.Rule{{From: netip.MustParsePrefix("192.0.2.0/24")}}}},
	"a route that refuses, in main":        {proof.Selectors{Routes: []rpdb.Route{{Table: uplinks.MainTable, Type: uplinks.Blackhole, Dst: clients}}}, "203.0.113.0/24 203.0.113.1"},
	"a ban":                                {selectors: proof.Selectors{Routes: []rpdb.Route{{Table: uplinks.MainTable, Type: uplinks.Unreachable, Dst: netip.MustParsePrefix("203.0.113.9/32")}}}},
	"a route of a VPN in another table":    {selectors: proof.Selectors{Routes: []rpdb.Route{{Table: 99, Type: uplinks.Unicast, Dst: clients, Hops: []rpdb.Hop{{Link: "tun0"}}}}}},
	"a route by an uplink, in another":     {proof.Selectors{Routes: []rpdb.Route{{Table: 99, Type: uplinks.Unicast, Dst: clients, Hops: []rpdb.Hop{{Link: "eth0"}}}}}, "203.0.113.0/24 203.0.113.1"},
	"one client in the table of an uplink": {proof.Selectors{Routes: []rpdb.Route{{Table: 8202, Type: uplinks.Blackhole, Dst: netip.MustParsePrefix("203.0.113.9/32")}}}, "203.0.113.9/32 203.0.113.9"},
	"a private network in such a table":    {proof.Selectors{Routes: []rpdb.Route{{Table: 8202, Type: uplinks.Blackhole, Dst: netip.MustParsePrefix("10.1.0.0/16")}}}, "10.1.0.0/16 10.1.0.1"},
	"a policy that blocks":                 {proof.Selectors{Policies: []egress.Policy{{To: clients, Block: true}}}, "203.0.113.0/24 203.0.113.1"},
	"a policy of a tunnel":                 {selectors: proof.Selectors{Policies: []egress.Policy{{To: clients, Templates: 1}}}},
	"a network in another, and the same twice": {proof.Selectors{Rules: []rpdb.Rule{{To: clients}, {To: netip.MustParsePrefix("203.0.113.0/28")}, {From: clients}}},
		"203.0.113.0/24 203.0.113.16; 203.0.113.0/28 203.0.113.1"},
}

func TestNetworksThatOthersSelectAreFound(t *testing.T) {
	for name, c := range selectorCases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, n := range proof.ClientNetworks(uplinkstest.Facts(), map[uplinks.Table]string{8201: "eth0", 8202: "eth1"}, c.selectors) {
				got = append(got, fmt.Sprint(n.Prefix, " ", n.Client))
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestNetworksThatOthersSelectAreBounded(t *testing.T) {
	var s proof.Selectors
	for i := range 300 {
		s.Rules = append(s.Rules, rpdb.Rule{To: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(i / 256), byte(i), 0}), 24)})
	}
	s.Routes = []rpdb.Route{{Table: 8202, Type: uplinks.Blackhole, Dst: netip.MustParsePrefix("198.18.7.7/32")}}
	all := proof.ClientNetworks(uplinkstest.Facts(), map[uplinks.Table]string{8202: "eth1"}, s)
	if len(all) > 16 || all[0].Table != 8202 {
		t.Errorf("%d networks, the first is %+v", len(all), all[0])
	}
}

// clientCases have the decisions of the kernel on a reply to a client, and a request of it for a host inside.
var clientCases = map[string]struct {
	table          uplinks.Table // of the network
	reply, request uplinks.RouteDecision
	policy         egress.Policy
	want           health.Result
	cause          health.Cause
}{
	"right":                        {want: health.Yes},
	"by another uplink":            {reply: byEth0(77), want: health.Unknown, cause: health.RuleShadowed},
	"by a VPN":                     {reply: uplinks.RouteDecision{Link: 9, Table: 51820}, want: health.Yes},
	"refused":                      {reply: uplinks.RouteDecision{Err: syscall.EHOSTUNREACH}, want: health.Unknown, cause: health.RuleShadowed},
	"to this host":                 {reply: uplinks.RouteDecision{Local: true, Link: 1}, want: health.Unknown, cause: health.RuleShadowed},
	"by another router":            {table: 8202, reply: uplinks.RouteDecision{Link: 3, Gateway: netip.MustParseAddr("192.0.2.99"), Table: 8202}, want: health.Yes},
	"a VPN in the uplink's table":  {table: 8202, reply: uplinks.RouteDecision{Link: 9, Table: 8202}, want: health.Yes},
	"refused by the uplink's":      {table: 8202, reply: uplinks.RouteDecision{Err: syscall.EINVAL}, want: health.No, cause: health.RuleShadowed},
	"another uplink by its table":  {table: 8202, reply: byEth0(8202), want: health.No, cause: health.RuleShadowed},
	"that of another uplink":       {table: 8201, reply: uplinks.RouteDecision{Err: syscall.EINVAL}, want: health.Yes},
	"a request leaves again":       {request: byEth0(77), want: health.Unknown, cause: health.RuleShadowed},
	"a policy blocks the replies":  {policy: egress.Policy{Direction: egress.Out, From: netip.MustParsePrefix("0.0.0.0/0"), To: clients, Block: true}, want: health.Unknown, cause: health.IPsecPolicy},
	"a policy blocks the requests": {policy: egress.Policy{Direction: egress.In, From: clients, To: netip.MustParsePrefix("0.0.0.0/0"), Block: true}, want: health.Unknown, cause: health.IPsecPolicy},
}

func TestRepliesToClientsOfANetwork(t *testing.T) {
	for name, c := range clientCases {
		t.Run(name, func(t *testing.T) {
			s, d, n := snapshot(), correctLookups(), proof.ClientNetwork{Prefix: clients, Client: netip.MustParseAddr("203.0.113.1"), Table: c.table}
			addForeignRule(&s, uplinks.Rule{Priority: 90, Table: 77}, 0)
			lookUp := func(q uplinks.RouteQuery) uplinks.RouteDecision {
				switch {
				case q.To == n.Client && c.reply != uplinks.RouteDecision{}:
					return c.reply
				case q.To == n.Client:
					return d.Reply
				case c.request != uplinks.RouteDecision{}:
					return c.request
				}
				return d.Forwarded.Request
			}
			lan := &proof.LANHost{Link: 4, Addr: netip.MustParseAddr("198.18.0.9")}
			looked := proof.LookUpRoutes(lte, netip.MustParseAddr("198.51.100.200"), lan, func(q uplinks.RouteQuery) uplinks.RouteDecision {
				return map[bool]uplinks.RouteDecision{true: d.Forwarded.Request, false: d.Reply}[q.To == lan.Addr]
			})
			looked.Request = d.Request
			looked.Clients = proof.LookUpClients(lte, looked, []proof.ClientNetwork{n}, []int{2, 3}, egress.State{Policies: slices.Compact([]egress.Policy{c.policy})}, lookUp)
			got := s.CheckRoutes(lte, looked)
			if got.Result != c.want || got.Cause != c.cause || c.want != health.Yes && (got.Scope != health.ClientScope || !strings.Contains(got.Detail, clients.String())) {
				t.Errorf("%+v", got)
			}
			v := health.Proof{Routes: got, Trace: health.ProofCheck{Result: health.Yes, Cause: health.OutputMark}}.Verdict()
			if c.want != health.Yes && (v.Result != c.want || v.Cause != c.cause) {
				t.Errorf("the verdict is %+v", v)
			}
		})
	}
}
