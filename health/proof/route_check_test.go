package proof_test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// snapshot is a host on which all is as it should be.
func snapshot() proof.Snapshot {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	want := uplinks.Desired(s, f, nil)
	f.RuleProtocols = map[uplinks.Rule]uint8{}
	return proof.Snapshot{Facts: f, Rules: want.Rules, Routes: want.Routes, Values: map[uplinks.Tunable]string{}}
}

// correctLookups are the kernel's decisions on such a host.
func correctLookups() proof.RouteLookups {
	out := uplinks.RouteDecision{Link: 3, Gateway: lte.Gateway, Table: 8202}
	return proof.RouteLookups{Reply: out, Unmarked: out, Request: uplinks.RouteDecision{Local: true},
		Forwarded: &proof.ForwardedLookups{Request: uplinks.RouteDecision{Link: 4, Table: uplinks.MainTable}, Reply: out}}
}

// addForeignRule adds a rule of another program.
func addForeignRule(g *proof.Snapshot, r uplinks.Rule, protocol uint8) {
	r.Family, r.SuppressLength, r.SuppressGroup = uplinks.IPv4, uplinks.NoSuppress, uplinks.NoSuppress
	if r.Action == 0 {
		r.Action = uplinks.Lookup
	}
	g.Facts.ForeignRules = append(g.Facts.ForeignRules, r)
	g.Facts.RuleProtocols[r] = protocol
}

func TestCheckRoutesNamesTheCause(t *testing.T) {
	byEth0 := func(table uplinks.Table) uplinks.RouteDecision {
		return uplinks.RouteDecision{Link: 2, Gateway: netip.MustParseAddr("198.51.100.1"), Table: table}
	}
	without := func(g *proof.Snapshot, is func(uplinks.Rule) bool) {
		for r := range g.Rules {
			if is(r) {
				delete(g.Rules, r)
			}
		}
	}
	refused := uplinks.RouteDecision{Err: syscall.EINVAL}
	for name, c := range map[string]struct {
		path    func(*health.Path)
		host    func(*proof.Snapshot)
		lookups func(*proof.RouteLookups)
		want    health.Cause // empty: yes
		why     string
		result  health.Result // Unknown, when it is not No
	}{
		"all is right":     {},
		"nobody is inside": {lookups: func(d *proof.RouteLookups) { d.Forwarded = nil }},
		"nothing is passed on": {lookups: func(d *proof.RouteLookups) {
			d.Forwarded.Request.Err, d.Forwarded.Reply.Err = syscall.EHOSTUNREACH, syscall.EHOSTUNREACH
		}},
		"there is no link":    {path: func(p *health.Path) { p.Index = 0 }, want: health.TraceUnavailable, result: health.Unknown, why: "no link eth1"},
		"the link is down":    {path: func(p *health.Path) { p.Up = false }, want: health.TraceUnavailable, result: health.Unknown, why: "down"},
		"there is no address": {path: func(p *health.Path) { p.Source = netip.Addr{} }, want: health.TraceUnavailable, result: health.Unknown, why: "no IPv4 address"},
		"the mark has no rule": {host: func(g *proof.Snapshot) {
			without(g, func(r uplinks.Rule) bool { return r.Mark == 0x200 && r.Table == 8202 })
		}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(uplinks.MainTable) }, want: health.RuleMissing, why: "from all fwmark 0x200/0x1f00 lookup 8202"},
		"the address has none": {host: func(g *proof.Snapshot) {
			without(g, func(r uplinks.Rule) bool { return r.From.IsValid() && r.Table == 8202 })
		}, lookups: func(d *proof.RouteLookups) { d.Unmarked = byEth0(uplinks.MainTable) }, want: health.RuleMissing, why: "from 192.0.2.2 lookup 8202"},
		"the table leads away":  {lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(8202) }, want: health.RouteMissing, why: "eth0"},
		"the table is released": {host: func(g *proof.Snapshot) { clear(g.Routes) }, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(uplinks.MainTable) }, want: health.RouteMissing, why: "table 8202"},
		"the table holds": {host: func(g *proof.Snapshot) { clear(g.Routes) }, want: health.RouteMissing, why: "refuses",
			lookups: func(d *proof.RouteLookups) { d.Reply = uplinks.RouteDecision{Err: syscall.EHOSTUNREACH} }},
		"no gateway is known": {path: func(p *health.Path) { p.Gateway = netip.Addr{} }, host: func(g *proof.Snapshot) { clear(g.Routes) }, want: health.RouteMissing, why: "no IPv4 gateway",
			lookups: func(d *proof.RouteLookups) { d.Reply = uplinks.RouteDecision{Err: syscall.EHOSTUNREACH} }},
		"another's rule for all": {host: func(g *proof.Snapshot) { addForeignRule(g, uplinks.Rule{Priority: 100, Table: 77}, 18) }, want: health.RuleShadowed, why: "priority 100 from all lookup 77, keepalived's (protocol 18)",
			lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
		"of two the one that leads there": {want: health.RuleShadowed, why: "priority 200",
			host: func(g *proof.Snapshot) {
				addForeignRule(g, uplinks.Rule{Priority: 100, Table: 76}, 3)
				addForeignRule(g, uplinks.Rule{Priority: 200, Table: 77}, 3)
			}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
		"not one for another mark": {want: health.RuleShadowed, why: "priority 200",
			host: func(g *proof.Snapshot) {
				addForeignRule(g, uplinks.Rule{Priority: 100, Table: 77, Mark: 0x100, Mask: 0x100}, 3)
				addForeignRule(g, uplinks.Rule{Priority: 150, Table: 77, IIF: "lan0"}, 3)
				addForeignRule(g, uplinks.Rule{Priority: 200, Table: 77, Mark: 0x200, Mask: 0x200}, 3)
			}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
		"one that jumps over ours": {want: health.RuleShadowed, why: "priority 20000",
			host: func(g *proof.Snapshot) {
				addForeignRule(g, uplinks.Rule{Priority: 100, Action: uplinks.Goto, Goto: 20000}, 3)
				addForeignRule(g, uplinks.Rule{Priority: 20000, Table: 77}, 3)
			}, lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
		"one whose selectors are not known": {want: health.RuleShadowed, why: "priority 100",
			host: func(g *proof.Snapshot) {
				addForeignRule(g, uplinks.Rule{Priority: 100, Table: 77, Other: "\x00\x00uid"}, 3)
			},
			lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
		"one that refuses": {want: health.RuleShadowed, why: "priority 100",
			host:    func(g *proof.Snapshot) { addForeignRule(g, uplinks.Rule{Priority: 100, Action: 6}, 3) },
			lookups: func(d *proof.RouteLookups) { d.Reply = refused }},
		"not one behind ours": {want: health.RouteMissing,
			host:    func(g *proof.Snapshot) { addForeignRule(g, uplinks.Rule{Priority: 5000, Table: 77}, 3) },
			lookups: func(d *proof.RouteLookups) { d.Reply = byEth0(77) }},
		"main knows everybody by a tunnel": {want: health.RuleShadowed, why: "main has a route of its own",
			host: func(g *proof.Snapshot) {
				g.Facts.Links["tun0"] = uplinks.Link{Name: "tun0", Index: 9, Up: true, Connected: []netip.Prefix{netip.MustParsePrefix("203.0.0.0/8")}}
			}, lookups: func(d *proof.RouteLookups) { d.Reply = uplinks.RouteDecision{Link: 9, Table: uplinks.MainTable} }},
		"strict, and blind for the mark": {want: health.SourceCheck, why: "net.ipv4.conf.eth1.src_valid_mark = 0 (set in /etc/sysctl.d/x.conf)",
			host: func(g *proof.Snapshot) {
				setRPFilter(g, "0", "1", "0")
				g.SetBy = map[uplinks.Tunable]string{{Link: "eth1", Name: uplinks.SrcValidMark}: "/etc/sysctl.d/x.conf"}
			}, lookups: func(d *proof.RouteLookups) { d.Request = refused }},
		"what is passed on is checked too": {want: health.SourceCheck, why: "passed on",
			host: func(g *proof.Snapshot) { setRPFilter(g, "1", "0", "0") }, lookups: func(d *proof.RouteLookups) { d.Forwarded.Request = uplinks.RouteDecision{Err: syscall.EXDEV} }},
		"refused, and not strict": {want: health.OtherCause, why: "refuses",
			host: func(g *proof.Snapshot) { setRPFilter(g, "1", "2", "0") }, lookups: func(d *proof.RouteLookups) { d.Request = refused }},
		"the address is not the host's": {want: health.OtherCause, why: "not for this host", lookups: func(d *proof.RouteLookups) { d.Request = byEth0(uplinks.MainTable) }},
		"inside's answers go astray":    {want: health.RouteMissing, why: "eth0", lookups: func(d *proof.RouteLookups) { d.Forwarded.Reply = byEth0(uplinks.MainTable) }},
	} {
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

// lookUp gives the decisions as a kernel would.
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
