package proof_test

import (
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/egress"
	"replypath/uplinks/rpdb"
)

// blocks returns a policy that drops packets from one network to another.
func blocks(d egress.Direction, from, to string) egress.Policy {
	return egress.Policy{Direction: d, From: netip.MustParsePrefix(from), To: netip.MustParsePrefix(to), Block: true}
}

// webOnly restricts a policy to replies of a web server.
func webOnly(p egress.Policy) egress.Policy {
	p.Proto, p.Sport, p.SportMask = rpdb.TCP, 443, 0xffff
	return p
}

// A policy that selects the address of an uplink takes the replies of all clients in its network; one that selects other addresses too,
// or a single client, may be meant for clients that come another way.
func TestPoliciesThatBlockTheClientsOfANetwork(t *testing.T) {
	for name, c := range map[string]struct {
		policy egress.Policy
		client string // the network; empty: that of the clients
		want   health.Result
	}{
		"replies of any address":          {blocks(egress.Out, "0.0.0.0/0", "203.0.113.0/24"), "", health.Unknown},
		"replies of half of all":          {blocks(egress.Out, "128.0.0.0/1", "203.0.113.0/24"), "", health.Unknown},
		"replies of the uplink":           {blocks(egress.Out, "192.0.2.2/32", "203.0.113.0/24"), "", health.No},
		"replies of the uplink's network": {blocks(egress.Out, "192.0.2.0/24", "203.0.113.0/24"), "", health.No},
		"replies of a port":               {webOnly(blocks(egress.Out, "192.0.2.2/32", "203.0.113.0/24")), "", health.No},
		"replies of another uplink":       {blocks(egress.Out, "198.51.100.2/32", "203.0.113.0/24"), "", health.Yes},
		"replies to one client":           {blocks(egress.Out, "192.0.2.2/32", "203.0.113.0/24"), "203.0.113.1/32", health.Unknown},
		"requests for the uplink":         {blocks(egress.In, "203.0.113.0/24", "192.0.2.2/32"), "", health.No},
		"replies of hosts inside":         {blocks(egress.Forward, "198.18.0.0/24", "203.0.113.0/24"), "", health.Unknown},
		"requests for hosts inside":       {blocks(egress.Forward, "203.0.113.0/24", "198.18.0.0/24"), "", health.Unknown},
		"what is tunnelled":               {egress.Policy{Direction: egress.Out, From: netip.MustParsePrefix("192.0.2.2/32"), To: clients, Templates: 1}, "", health.Yes},
	} {
		t.Run(name, func(t *testing.T) {
			s, network := snapshot(), clients
			if c.client != "" {
				network = netip.MustParsePrefix(c.client)
			}
			lookUp := func(q uplinks.RouteQuery) uplinks.RouteDecision {
				if q.To == netip.MustParseAddr("198.18.0.9") {
					return correctLookups().Forwarded.Request
				}
				return correctLookups().Reply
			}
			looked := proof.LookUpRoutes(lte, netip.MustParseAddr("198.51.100.200"), &proof.LANHost{Link: 4, Addr: netip.MustParseAddr("198.18.0.9")}, lookUp)
			looked.Request = correctLookups().Request
			n := proof.ClientNetwork{Prefix: network, Client: netip.MustParseAddr("203.0.113.1")}
			looked.Clients = proof.LookUpClients(lte, looked, []proof.ClientNetwork{n}, []int{2, 3}, egress.State{Policies: []egress.Policy{c.policy}}, lookUp)
			if got := s.CheckRoutes(lte, looked); got.Result != c.want || c.want != health.Yes && got.Cause != health.IPsecPolicy {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

// A rule that selects the address of an uplink together with a network of clients is found, and takes the replies of all of them.
func TestARuleForAnUplinkAndClientsOfANetwork(t *testing.T) {
	s, d := snapshot(), correctLookups()
	db := s.Databases[uplinks.IPv4]
	db.Rules = append(db.Rules, rpdb.Rule{Family: uplinks.IPv4, Priority: 90, From: netip.PrefixFrom(lte.Source, 32), To: clients, Action: uplinks.Lookup, Table: 77, SuppressLength: -1, SuppressGroup: -1})
	sortRules(db)
	lookUp := func(q uplinks.RouteQuery) uplinks.RouteDecision {
		if q.From == lte.Source && clients.Contains(q.To) {
			return byEth0(77)
		}
		return d.Reply
	}
	n := proof.ClientNetwork{Prefix: clients, Client: netip.MustParseAddr("203.0.113.1")}
	d.Clients = proof.LookUpClients(lte, d, []proof.ClientNetwork{n}, []int{2, 3}, egress.State{}, lookUp)
	if got := s.CheckRoutes(lte, d); got.Result != health.No || got.Cause != health.RuleShadowed || got.Scope != health.ClientScope {
		t.Errorf("%+v", got)
	}
}
