package proof_test

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/marks/foreign"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/uplinkstest"
)

// snapshot returns a host on which replypath's rules and routes are complete, and which forwards requests.
func snapshot() proof.Snapshot {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	want := uplinks.Desired(s, f, nil)
	db := &rpdb.Database{Family: uplinks.IPv4, Links: map[string]rpdb.Link{}, Tables: map[uplinks.Table][]rpdb.Route{}}
	for name, l := range f.Links {
		db.Links[name] = rpdb.Link{Index: l.Index, Group: l.Group, Checks: rpdb.InputChecks{Forwarding: true, Addressed: true}}
		for _, a := range l.Addrs {
			if a.Prefix.Addr().Is4() {
				addRoute(db, rpdb.Route{Table: uplinks.LocalTable, Type: rpdb.Local, Dst: netip.PrefixFrom(a.Prefix.Addr(), 32), Protocol: 2}, name)
			}
		}
	}
	for r := range want.Rules {
		if r.Family == uplinks.IPv4 {
			db.Rules = append(db.Rules, databaseRule(r, uplinks.Protocol))
		}
	}
	db.Rules = append(db.Rules, rpdbRule(uplinks.Rule{Priority: 0, Table: uplinks.LocalTable}, 2), rpdbRule(uplinks.Rule{Priority: 32766, Table: uplinks.MainTable}, 2))
	sortRules(db)
	for key, r := range want.Routes {
		if key.Family == uplinks.IPv4 {
			addRoute(db, rpdb.Route{Table: key.Table, Type: r.Type, Dst: key.Dst, Metric: key.Metric, Protocol: uplinks.Protocol}, r.Link)
		}
	}
	for _, table := range []uplinks.Table{uplinks.MainTable, 77, 220, 51820} {
		addRoute(db, rpdb.Route{Table: table, Type: uplinks.Unicast, Dst: uplinks.IPv4.DefaultPrefix(), Protocol: 3}, "eth0")
	}
	return proof.Snapshot{Facts: f, Databases: map[uplinks.Family]*rpdb.Database{uplinks.IPv4: db}, Values: map[uplinks.Tunable]string{},
		Names: rpdb.Names{Protocols: map[uint8]string{18: "keepalived"}}}
}

func addRoute(db *rpdb.Database, r rpdb.Route, link string) {
	r.Hops = []rpdb.Hop{{Link: link}}
	db.Tables[r.Table] = append(db.Tables[r.Table], r)
	slices.SortStableFunc(db.Tables[r.Table], func(a, b rpdb.Route) int { return cmp.Compare(a.Metric, b.Metric) })
}

func sortRules(db *rpdb.Database) {
	slices.SortStableFunc(db.Rules, func(a, b rpdb.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
}

// rpdbRule returns a rule of the program with the protocol number.
func rpdbRule(r uplinks.Rule, protocol uint8) rpdb.Rule {
	r.Family, r.SuppressGroup = uplinks.IPv4, uplinks.NoSuppress
	if r.SuppressLength == 0 && r.Table != uplinks.MainTable || r.Priority == 32766 {
		r.SuppressLength = uplinks.NoSuppress
	}
	r.Action = cmp.Or(r.Action, uplinks.Lookup)
	return databaseRule(r, protocol)
}

// correctLookups returns the kernel's decisions on that host.
func correctLookups() proof.RouteLookups {
	out := uplinks.RouteDecision{Link: 3, Gateway: lte.Gateway, Table: 8202}
	return proof.RouteLookups{Reply: out, Unmarked: out, Request: uplinks.RouteDecision{Local: true},
		Forwarded: &proof.ForwardedLookups{Request: uplinks.RouteDecision{Link: 4, Table: uplinks.MainTable}, Reply: out}}
}

// addForeignRule adds a rule that another program added with the protocol.
func addForeignRule(g *proof.Snapshot, r uplinks.Rule, protocol uint8) {
	db := g.Databases[uplinks.IPv4]
	db.Rules = append(db.Rules, rpdbRule(r, protocol))
	sortRules(db)
}

// byEth0 returns the decision to leave by the other uplink, by a route of the table.
func byEth0(table uplinks.Table) uplinks.RouteDecision {
	return uplinks.RouteDecision{Link: 2, Gateway: netip.MustParseAddr("198.51.100.1"), Table: table}
}

// removeRules removes replypath's rules that match.
func removeRules(s *proof.Snapshot, matches func(rpdb.Rule) bool) {
	db := s.Databases[uplinks.IPv4]
	db.Rules = slices.DeleteFunc(db.Rules, func(r rpdb.Rule) bool { return r.Protocol == uplinks.Protocol && matches(r) })
}

var rejected = uplinks.RouteDecision{Err: syscall.EINVAL}

var routeCheckCases = map[string]struct {
	path    func(*health.Path)
	host    func(*proof.Snapshot)
	lookups func(*proof.RouteLookups)
	want    health.Cause // empty: yes
	why     string
	result  health.Result // Unknown, when it is not No
}{
	"all is correct": {},
	"no LAN host":    {lookups: func(d *proof.RouteLookups) { d.Forwarded = nil }},
	"the host does not forward": {lookups: func(d *proof.RouteLookups) {
		d.Forwarded.Request.Err, d.Forwarded.Reply.Err = syscall.EHOSTUNREACH, syscall.EHOSTUNREACH
	}},
	"the interface does not exist": {path: func(p *health.Path) { p.Index = 0 }, want: health.TraceUnavailable, result: health.Unknown, why: "eth1 does not exist"},
	"the interface is in a VRF":    {path: func(p *health.Path) { p.Index, p.VRF = 0, 7 }, want: health.InVRF, result: health.Unknown, why: "eth1 is in a VRF"},
	"the interface is down":        {path: func(p *health.Path) { p.Up = false }, want: health.TraceUnavailable, result: health.Unknown, why: "down"},
	"no address":                   {path: func(p *health.Path) { p.Source = netip.Addr{} }, want: health.TraceUnavailable, result: health.Unknown, why: "no IPv4 address"},
	"the mark rule is missing": {host: func(g *proof.Snapshot) {
		removeRules(g, func(r rpdb.Rule) bool { return r.Mark == 0x200 && r.Table == 8202 })
	}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(uplinks.MainTable) }, want: health.RuleMissing, why: "from all fwmark 0x200/0x1f00 lookup 8202"},
	"the source rule is missing": {host: func(g *proof.Snapshot) {
		removeRules(g, func(r rpdb.Rule) bool { return r.From.IsValid() && r.Table == 8202 })
	}, lookups: func(d *proof.RouteLookups) { d.Unmarked = byEth0(uplinks.MainTable) }, want: health.RuleMissing, why: "from 192.0.2.2 lookup 8202"},
	"the table's route leaves by another interface": {lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(8202) }, want: health.RouteMissing, why: "eth0"},
	"the right interface, another gateway": {lookups: func(d *proof.RouteLookups) { d.Reply.Gateway = netip.MustParseAddr("192.0.2.77") },
		want: health.RouteMissing, why: "leaves by eth1 via 192.0.2.77"},
	"the right interface, no gateway": {lookups: func(d *proof.RouteLookups) { d.Unmarked.Gateway = netip.Addr{} },
		want: health.RouteMissing, why: "leaves by eth1 (table 8202)"},
	"the table is empty, main decides": {host: func(g *proof.Snapshot) { delete(g.Databases[uplinks.IPv4].Tables, 8202) }, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(uplinks.MainTable) }, want: health.RouteMissing, why: "table 8202"},
	"the table is empty, the kernel rejects": {host: func(g *proof.Snapshot) { delete(g.Databases[uplinks.IPv4].Tables, 8202) }, want: health.RouteMissing, why: "rejects",
		lookups: func(d *proof.RouteLookups) { d.Reply = uplinks.RouteDecision{Err: syscall.EHOSTUNREACH} }},
	"the gateway is not known": {path: func(p *health.Path) { p.Gateway = netip.Addr{} }, host: func(g *proof.Snapshot) { delete(g.Databases[uplinks.IPv4].Tables, 8202) }, want: health.RouteMissing, why: "no IPv4 gateway",
		lookups: func(d *proof.RouteLookups) { d.Reply = uplinks.RouteDecision{Err: syscall.EHOSTUNREACH} }},
	"a foreign rule for all packets": {host: func(g *proof.Snapshot) { addForeignRule(g, uplinks.Rule{Priority: 100, Table: 77}, 18) }, want: health.RuleShadowed, why: "priority 100 from all lookup 77, added by keepalived (protocol 18)",
		lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
	"of two foreign rules the one that looks up the table": {want: health.RuleShadowed, why: "priority 200",
		host: func(g *proof.Snapshot) {
			addForeignRule(g, uplinks.Rule{Priority: 100, Table: 76}, 3)
			addForeignRule(g, uplinks.Rule{Priority: 200, Table: 77}, 3)
		}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
	"not a rule for another mark or interface": {want: health.RuleShadowed, why: "priority 200",
		host: func(g *proof.Snapshot) {
			addForeignRule(g, uplinks.Rule{Priority: 100, Table: 77, Mark: 0x100, Mask: 0x100}, 3)
			addForeignRule(g, uplinks.Rule{Priority: 150, Table: 77, IIF: "lan0"}, 3)
			addForeignRule(g, uplinks.Rule{Priority: 200, Table: 77, Mark: 0x200, Mask: 0x200}, 3)
		}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
	"a goto past replypath's rules": {want: health.RuleShadowed, why: "priority 20000",
		host: func(g *proof.Snapshot) {
			addForeignRule(g, uplinks.Rule{Priority: 100, Action: uplinks.Goto, Goto: 20000}, 3)
			addForeignRule(g, uplinks.Rule{Priority: 20000, Table: 77}, 3)
		}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
	"all selectors of a rule": {want: health.RuleShadowed, why: "priority 100 from all ipproto udp lookup 77",
		host: func(g *proof.Snapshot) {
			addForeignRule(g, uplinks.Rule{Priority: 100, Table: 77}, 3)
			g.Databases[uplinks.IPv4].Rules[1].Proto = rpdb.UDP
		},
		lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
	"a rule that rejects": {want: health.RuleShadowed, why: "priority 100",
		host:    func(g *proof.Snapshot) { addForeignRule(g, uplinks.Rule{Priority: 100, Action: 6}, 3) },
		lookups: func(d *proof.RouteLookups) { d.Reply = rejected }},
	"not a rule after replypath's": {want: health.RouteMissing,
		host:    func(g *proof.Snapshot) { addForeignRule(g, uplinks.Rule{Priority: 5000, Table: 77}, 3) },
		lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
	"main has a specific route by a tunnel": {want: health.RuleShadowed, why: "table main has a specific route",
		host: func(g *proof.Snapshot) {
			addTunnel(g)
		}, lookups: func(d *proof.RouteLookups) { d.Reply = uplinks.RouteDecision{Link: 9, Table: uplinks.MainTable} }},
	"strict, and the mark is ignored": {want: health.SourceCheck, why: "net.ipv4.conf.eth1.src_valid_mark = 0 (set in /etc/sysctl.d/x.conf)",
		host: func(g *proof.Snapshot) {
			setRPFilter(g, "0", "1", "0")
			g.SetBy = map[uplinks.Tunable]string{{Link: "eth1", Name: uplinks.SrcValidMark}: "/etc/sysctl.d/x.conf"}
		}, lookups: func(d *proof.RouteLookups) { d.Request = rejected }},
	"strict for forwarded requests": {want: health.SourceCheck, why: "forwarded requests",
		host: func(g *proof.Snapshot) { setRPFilter(g, "1", "0", "0") }, lookups: func(d *proof.RouteLookups) { d.Forwarded.Request = uplinks.RouteDecision{Err: syscall.EXDEV} }},
	"rejected, and not strict": {want: health.OtherCause, why: "rejects",
		host: func(g *proof.Snapshot) { setRPFilter(g, "1", "2", "0") }, lookups: func(d *proof.RouteLookups) { d.Request = rejected }},
	"the address is not local":                          {want: health.OtherCause, why: "not delivered to this host", lookups: func(d *proof.RouteLookups) { d.Request = byEth0(uplinks.MainTable) }},
	"the LAN host's replies leave by another interface": {want: health.RouteMissing, why: "eth0", lookups: func(d *proof.RouteLookups) { d.Forwarded.Reply = byEth0(uplinks.MainTable) }},
}

func TestCheckRoutesNamesTheCause(t *testing.T) {
	for name, c := range routeCheckCases {
		t.Run(name, func(t *testing.T) {
			p, g, d := lte, snapshot(), correctLookups()
			if c.path != nil {
				c.path(&p)
			}
			if c.host != nil {
				c.host(&g)
			}
			if c.lookups != nil {
				c.lookups(&d)
			}
			want := health.Result(health.Yes)
			if c.want != "" {
				want = health.No
			}
			if c.result != "" {
				want = c.result
			}
			d = lookUp(d)
			if got := g.CheckRoutes(p, d); got.Result != want || got.Cause != c.want || !strings.Contains(got.Detail, c.why) {
				t.Errorf("%+v, want %s %s %q", got, want, c.want, c.why)
			}
		})
	}
}

func TestTheOwnerOfAForeignRuleIsThatOfExplain(t *testing.T) {
	for want, c := range map[string]struct {
		rule     uplinks.Rule
		protocol uint8
	}{
		"added by keepalived (protocol 18)": {uplinks.Rule{Priority: 100, Table: 77}, 18},
		"added by strongSwan (protocol 4)":  {uplinks.Rule{Priority: 220, Table: 220}, 4},
		"added by wg-quick (protocol 3)":    {uplinks.Rule{Priority: 100, Not: true, Mark: 0xca6c, Mask: 0xffffffff, Table: 51820}, 3},
		"owner unknown (protocol 0)":        {uplinks.Rule{Priority: 100, Table: 77}, 0},
	} {
		s, d := snapshot(), correctLookups()
		addForeignRule(&s, c.rule, c.protocol)
		d.Reply = uplinks.RouteDecision{Link: 2, Table: c.rule.Table}
		if got := s.CheckRoutes(lte, lookUp(d)); !strings.Contains(got.Detail, want) {
			t.Errorf("%q, want %q", got.Detail, want)
		}
	}
}

// wg-quick's rule for main is known by its other rule, wherever that is.
func TestTheOwnerDependsOnTheOtherRules(t *testing.T) {
	s, d := snapshot(), correctLookups()
	addForeignRule(&s, uplinks.Rule{Priority: 100, Table: uplinks.MainTable}, 0)
	addTunnel(&s)
	d.Reply = uplinks.RouteDecision{Link: 9, Table: uplinks.MainTable}
	for _, want := range []string{"owner unknown (protocol 0)", "added by wg-quick (protocol 0)"} {
		if got := s.CheckRoutes(lte, lookUp(d)); !strings.Contains(got.Detail, want) {
			t.Errorf("%q, want %q", got.Detail, want)
		}
		addForeignRule(&s, uplinks.Rule{Priority: 32765, Not: true, Mark: 0xca6c, Mask: 0xffffffff, Table: 51820}, 0)
	}
}

// addTunnel adds a link with a route in main to the network of the peers.
func addTunnel(s *proof.Snapshot) {
	s.Facts.Links["tun0"] = uplinks.Link{Name: "tun0", Index: 9, Up: true}
	addRoute(s.Databases[uplinks.IPv4], rpdb.Route{Table: uplinks.MainTable, Type: uplinks.Unicast, Dst: netip.MustParsePrefix("203.0.0.0/8"), Protocol: 3}, "tun0")
}

// A rule for packets of the LAN decides only for forwarded packets, and these exist only behind DNAT.
func TestForwardedPacketsCountWhereDestinationsAreTranslated(t *testing.T) {
	for name, c := range map[string]struct {
		firewall []foreign.Rule
		read     bool
		want     health.Result
	}{
		"DNAT":              {[]foreign.Rule{{TranslatesDestination: true}}, true, health.No},
		"no DNAT":           {[]foreign.Rule{{NoTrack: true}}, true, health.Yes},
		"it is not known":   {nil, false, health.No},
		"an empty firewall": {nil, true, health.Yes},
	} {
		s, d := snapshot(), correctLookups()
		s.Firewall, s.FirewallRead = c.firewall, c.read
		addForeignRule(&s, uplinks.Rule{Priority: 90, From: netip.MustParsePrefix("198.18.0.0/24"), Table: 77}, 0)
		d.Forwarded.Reply = byEth0(77)
		got := s.CheckRoutes(lte, lookUp(d))
		if got.Result != c.want || got.Cause != health.RuleShadowed || got.Scope != health.ForwardedScope || !strings.Contains(got.Detail, "priority 90 from 198.18.0.0/24 lookup 77") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// lookUp returns LookUpRoutes of a kernel with these decisions.
func lookUp(d proof.RouteLookups) proof.RouteLookups {
	lan := &proof.LANHost{Link: 4, Addr: netip.MustParseAddr("198.18.0.2")}
	if d.Forwarded == nil {
		lan = nil
	}
	return proof.LookUpRoutes(lte, peer.Addr(), lan, func(q uplinks.RouteQuery) uplinks.RouteDecision {
		switch {
		case q.To == lanAddr && q.IIF == lte.Index:
			return d.Forwarded.Request
		case q.IIF == 4:
			return d.Forwarded.Reply
		case q.IIF == lte.Index:
			return d.Request
		case q.Mark == lte.Mark:
			return d.Reply
		}
		return d.Unmarked
	})
}

var lanAddr = netip.MustParseAddr("198.18.0.2")

func setRPFilter(g *proof.Snapshot, all, link, srcValidMark string) {
	g.Values[uplinks.Tunable{Link: "all", Name: "net.ipv4.conf.*.rp_filter"}] = all
	g.Values[uplinks.Tunable{Link: "eth1", Name: "net.ipv4.conf.*.rp_filter"}] = link
	g.Values[uplinks.Tunable{Link: "eth1", Name: uplinks.SrcValidMark}] = srcValidMark
}
