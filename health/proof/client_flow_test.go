package proof_test

import (
	"net/netip"
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

// kernelOf returns the route decisions of a kernel with the rules and routes, which refuses the protocols that it cannot look up.
func kernelOf(s proof.Snapshot) func(uplinks.RouteQuery) uplinks.RouteDecision {
	db := s.Databases[uplinks.IPv4]
	return func(q uplinks.RouteQuery) uplinks.RouteDecision {
		if !rpdb.SupportsQuery(uplinks.IPv4, q.Proto) {
			return uplinks.RouteDecision{Err: syscall.EOPNOTSUPP}
		}
		in, _ := s.Facts.LinkName(q.IIF)
		p := rpdb.Packet{Family: uplinks.IPv4, From: q.From, To: q.To, In: in, Mark: uint32(q.Mark), Proto: q.Proto, Sport: q.Sport, Dport: q.Dport, TOS: q.TOS, UID: q.UID}
		r := db.LookUp(p)
		switch {
		case r.Error != 0:
			return uplinks.RouteDecision{Err: r.Error}
		case r.Route.Type == rpdb.Local:
			return uplinks.RouteDecision{Local: true}
		}
		d := uplinks.RouteDecision{Link: s.Facts.Links[r.Route.Hops[0].Link].Index, Table: r.Route.Table}
		if d.Link == lte.Index {
			d.Gateway = lte.Gateway
		}
		return d
	}
}

// A rule of another program that selects clients together with a protocol, ports, a type of service or a user takes those of their packets
// only: that is a No where it selects the uplink too, and the host certainly sends such packets, and otherwise unknown.
func TestRulesForClientsAndProtocolPortsOrUser(t *testing.T) {
	lteOnly, mark := netip.PrefixFrom(lte.Source, 32), rpdb.Rule{Mark: 0x200, Mask: 0x1f00}
	web, users := rpdb.PortRange{First: 443, Last: 443}, &rpdb.UIDRange{First: 1000, Last: 1999}
	for name, c := range map[string]struct {
		rule rpdb.Rule
		want health.Result
	}{
		"TCP to clients":                        {rpdb.Rule{To: clients, Proto: rpdb.TCP}, health.Unknown},
		"UDP to clients":                        {rpdb.Rule{To: clients, Proto: rpdb.UDP}, health.Unknown},
		"echoes to clients":                     {rpdb.Rule{To: clients, Proto: rpdb.ICMP}, health.Unknown},
		"a port to clients":                     {rpdb.Rule{To: clients, Proto: rpdb.TCP, Sport: web}, health.Unknown},
		"ports of clients":                      {rpdb.Rule{To: clients, Proto: rpdb.TCP, Dport: rpdb.PortRange{First: 1024, Last: 65535}}, health.Unknown},
		"a port of any protocol":                {rpdb.Rule{To: clients, Sport: web}, health.Unknown},
		"a user to clients":                     {rpdb.Rule{To: clients, UIDs: users}, health.Unknown},
		"a type of service to clients":          {rpdb.Rule{To: clients, TOS: 0x10, TOSMask: 0x1c}, health.Unknown},
		"TCP of the uplink to clients":          {rpdb.Rule{From: lteOnly, To: clients, Proto: rpdb.TCP}, health.No},
		"echoes of the uplink to clients":       {rpdb.Rule{From: lteOnly, To: clients, Proto: rpdb.ICMP}, health.No},
		"a port of the uplink to clients":       {rpdb.Rule{From: lteOnly, To: clients, Proto: rpdb.TCP, Sport: web}, health.No},
		"a UDP port with a server":              {rpdb.Rule{From: lteOnly, To: clients, Proto: rpdb.UDP, Sport: rpdb.PortRange{First: 53, Last: 53}}, health.No},
		"a UDP port without a server":           {rpdb.Rule{From: lteOnly, To: clients, Proto: rpdb.UDP, Sport: rpdb.PortRange{First: 54, Last: 54}}, health.Unknown},
		"a user with a server":                  {rpdb.Rule{From: lteOnly, To: clients, UIDs: users}, health.No},
		"a user without a server":               {rpdb.Rule{From: lteOnly, To: clients, UIDs: &rpdb.UIDRange{First: 7, Last: 7}}, health.Unknown},
		"a type of service of the uplink":       {rpdb.Rule{From: lteOnly, To: clients, TOS: 0x10, TOSMask: 0x1c}, health.Unknown},
		"TCP with the uplink's mark to clients": {rpdb.Rule{Mark: mark.Mark, Mask: mark.Mask, To: clients, Proto: rpdb.TCP}, health.No},
		"TCP with another uplink's mark":        {rpdb.Rule{Mark: 0x100, Mask: 0x1f00, To: clients, Proto: rpdb.TCP}, health.Yes},
		"TCP of another uplink":                 {rpdb.Rule{From: netip.MustParsePrefix("198.51.100.2/32"), To: clients, Proto: rpdb.TCP}, health.Yes},
		"requests of clients for a port inside": {rpdb.Rule{From: clients, Proto: rpdb.TCP, Dport: rpdb.PortRange{First: 22, Last: 22}}, health.Unknown},
		"replies of a port inside":              {rpdb.Rule{From: netip.MustParsePrefix("198.18.0.0/24"), To: clients, Proto: rpdb.TCP, Sport: rpdb.PortRange{First: 22, Last: 22}}, health.Unknown},
		"SCTP to clients":                       {rpdb.Rule{To: clients, Proto: 132}, health.Unknown},
		"SCTP of another uplink to clients":     {rpdb.Rule{From: netip.MustParsePrefix("198.51.100.2/32"), To: clients, Proto: 132}, health.Yes},
		"a port of another network's clients":   {rpdb.Rule{To: netip.MustParsePrefix("10.0.0.0/8"), Proto: rpdb.TCP}, health.Yes},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot()
			s.Servers = []proof.Server{{Listener: uplinks.Listener{Addr: netip.IPv4Unspecified(), Port: 53}, Proto: rpdb.UDP, UID: 1000}}
			r, db := c.rule, s.Databases[uplinks.IPv4]
			r.Family, r.Priority, r.Action, r.Table, r.SuppressLength, r.SuppressGroup = uplinks.IPv4, 90, uplinks.Lookup, 77, -1, -1
			db.Rules = append(db.Rules, r)
			sortRules(db)
			lookUp, lan := kernelOf(s), &proof.LANHost{Link: 4, Addr: netip.MustParseAddr("198.18.0.9")}
			addRoute(db, rpdb.Route{Table: uplinks.MainTable, Type: uplinks.Unicast, Dst: netip.MustParsePrefix("198.18.0.0/24"), Protocol: 2}, "lan0")
			d := proof.LookUpRoutes(lte, netip.MustParseAddr("198.51.100.200"), lan, lookUp)
			networks := proof.ClientNetworks(uplinkstest.Facts(), map[uplinks.Table]string{8201: "eth0", 8202: "eth1"}, proof.Selectors{Rules: db.Rules})
			d.Clients = proof.LookUpClients(lte, d, networks, []int{2, 3}, egress.State{}, lookUp)
			got := s.CheckRoutes(lte, d)
			if got.Result != c.want || c.want != health.Yes && (got.Scope != health.ClientScope || got.Cause != health.RuleShadowed || !strings.Contains(got.Detail, "203.0.113.0/24")) {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
}

// What is known to be lost is not hidden by what may be.
func TestLostRepliesOutweighThoseThatMayBe(t *testing.T) {
	s := snapshot()
	db := s.Databases[uplinks.IPv4]
	for _, r := range []rpdb.Rule{{To: netip.MustParsePrefix("203.0.0.0/16"), Priority: 91}, {From: netip.PrefixFrom(lte.Source, 32), To: clients, Priority: 90, Proto: rpdb.TCP}} {
		r.Family, r.Action, r.Table, r.SuppressLength, r.SuppressGroup = uplinks.IPv4, uplinks.Lookup, 77, -1, -1
		db.Rules = append(db.Rules, r)
	}
	sortRules(db)
	d := proof.LookUpRoutes(lte, netip.MustParseAddr("198.51.100.200"), nil, kernelOf(s))
	networks := proof.ClientNetworks(uplinkstest.Facts(), map[uplinks.Table]string{8202: "eth1"}, proof.Selectors{Rules: db.Rules})
	d.Clients = proof.LookUpClients(lte, d, networks, []int{2, 3}, egress.State{}, kernelOf(s))
	if got := s.CheckRoutes(lte, d); got.Result != health.No || !strings.Contains(got.Detail, "203.0.113.0/24") {
		t.Errorf("%+v", got)
	}
}
