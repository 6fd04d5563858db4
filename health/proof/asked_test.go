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

// ground is a host on which all is as it should be.
func ground() proof.Ground {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	want := uplinks.Desired(s, f)
	f.Makers = map[uplinks.Rule]uint8{}
	return proof.Ground{Facts: f, Rules: want.Rules, Routes: want.Routes, Values: map[uplinks.Tunable]string{}}
}

// right are the kernel's decisions on such a host.
func right() proof.Decisions {
	out := uplinks.Decision{Link: 3, Gateway: lte.Gateway, Table: 8202}
	return proof.Decisions{Out: out, From: out, In: uplinks.Decision{Local: true},
		Inside: &proof.Decided{In: uplinks.Decision{Link: 4, Table: uplinks.MainTable}, Out: out}}
}

// foreign adds a rule of another program.
func foreign(g *proof.Ground, r uplinks.Rule, maker uint8) {
	r.Family, r.SuppressLength, r.SuppressGroup = uplinks.IPv4, uplinks.NoSuppress, uplinks.NoSuppress
	if r.Action == 0 {
		r.Action = uplinks.Lookup
	}
	g.Facts.Others = append(g.Facts.Others, r)
	g.Facts.Makers[r] = maker
}

func TestWhatTheKernelSaysIsJudged(t *testing.T) {
	byEth0 := func(table uplinks.Table) uplinks.Decision {
		return uplinks.Decision{Link: 2, Gateway: netip.MustParseAddr("198.51.100.1"), Table: table}
	}
	without := func(g *proof.Ground, is func(uplinks.Rule) bool) {
		for r := range g.Rules {
			if is(r) {
				delete(g.Rules, r)
			}
		}
	}
	refused := uplinks.Decision{Err: syscall.EINVAL}
	for name, c := range map[string]struct {
		path  func(*health.Path)
		host  func(*proof.Ground)
		says  func(*proof.Decisions)
		want  health.Cause // empty: yes
		why   string
		fault health.Result // Unknown, when it is not No
	}{
		"all is right":     {},
		"nobody is inside": {says: func(d *proof.Decisions) { d.Inside = nil }},
		"nothing is passed on": {says: func(d *proof.Decisions) {
			d.Inside.In.Err, d.Inside.Out.Err = syscall.EHOSTUNREACH, syscall.EHOSTUNREACH
		}},
		"there is no link":    {path: func(p *health.Path) { p.Index = 0 }, want: health.CannotShow, fault: health.Unknown, why: "no link eth1"},
		"the link is down":    {path: func(p *health.Path) { p.Up = false }, want: health.CannotShow, fault: health.Unknown, why: "down"},
		"there is no address": {path: func(p *health.Path) { p.Source = netip.Addr{} }, want: health.CannotShow, fault: health.Unknown, why: "no IPv4 address"},
		"the mark has no rule": {host: func(g *proof.Ground) {
			without(g, func(r uplinks.Rule) bool { return r.Mark == 0x200 && r.Table == 8202 })
		}, says: func(d *proof.Decisions) { d.Out = byEth0(uplinks.MainTable) }, want: health.RuleMissing, why: "from all fwmark 0x200/0x1f00 lookup 8202"},
		"the address has none": {host: func(g *proof.Ground) {
			without(g, func(r uplinks.Rule) bool { return r.From.IsValid() && r.Table == 8202 })
		}, says: func(d *proof.Decisions) { d.From = byEth0(uplinks.MainTable) }, want: health.RuleMissing, why: "from 192.0.2.2 lookup 8202"},
		"the table leads away":  {says: func(d *proof.Decisions) { d.Out = byEth0(8202) }, want: health.RouteMissing, why: "eth0"},
		"the table is released": {host: func(g *proof.Ground) { clear(g.Routes) }, says: func(d *proof.Decisions) { d.Out = byEth0(uplinks.MainTable) }, want: health.RouteMissing, why: "table 8202"},
		"the table holds": {host: func(g *proof.Ground) { clear(g.Routes) }, want: health.RouteMissing, why: "refuses",
			says: func(d *proof.Decisions) { d.Out = uplinks.Decision{Err: syscall.EHOSTUNREACH} }},
		"no gateway is known": {path: func(p *health.Path) { p.Gateway = netip.Addr{} }, host: func(g *proof.Ground) { clear(g.Routes) }, want: health.RouteMissing, why: "no IPv4 gateway",
			says: func(d *proof.Decisions) { d.Out = uplinks.Decision{Err: syscall.EHOSTUNREACH} }},
		"another's rule for all": {host: func(g *proof.Ground) { foreign(g, uplinks.Rule{Priority: 100, Table: 77}, 18) }, want: health.RuleShadowed, why: "priority 100 from all lookup 77, keepalived's (protocol 18)",
			says: func(d *proof.Decisions) { d.Out = byEth0(77) }},
		"of two the one that leads there": {want: health.RuleShadowed, why: "priority 200",
			host: func(g *proof.Ground) {
				foreign(g, uplinks.Rule{Priority: 100, Table: 76}, 3)
				foreign(g, uplinks.Rule{Priority: 200, Table: 77}, 3)
			}, says: func(d *proof.Decisions) { d.Out = byEth0(77) }},
		"not one for another mark": {want: health.RuleShadowed, why: "priority 200",
			host: func(g *proof.Ground) {
				foreign(g, uplinks.Rule{Priority: 100, Table: 77, Mark: 0x100, Mask: 0x100}, 3)
				foreign(g, uplinks.Rule{Priority: 150, Table: 77, In: "lan0"}, 3)
				foreign(g, uplinks.Rule{Priority: 200, Table: 77, Mark: 0x200, Mask: 0x200}, 3)
			}, says: func(d *proof.Decisions) { d.Out = byEth0(77) }},
		"one that jumps over ours": {want: health.RuleShadowed, why: "priority 20000",
			host: func(g *proof.Ground) {
				foreign(g, uplinks.Rule{Priority: 100, Action: uplinks.Goto, Goto: 20000}, 3)
				foreign(g, uplinks.Rule{Priority: 20000, Table: 77}, 3)
			}, says: func(d *proof.Decisions) { d.Out = byEth0(77) }},
		"one whose selectors are not known": {want: health.RuleShadowed, why: "priority 100",
			host: func(g *proof.Ground) { foreign(g, uplinks.Rule{Priority: 100, Table: 77, Other: "\x00\x00uid"}, 3) },
			says: func(d *proof.Decisions) { d.Out = byEth0(77) }},
		"one that refuses": {want: health.RuleShadowed, why: "priority 100",
			host: func(g *proof.Ground) { foreign(g, uplinks.Rule{Priority: 100, Action: 6}, 3) },
			says: func(d *proof.Decisions) { d.Out = refused }},
		"not one behind ours": {want: health.RouteMissing,
			host: func(g *proof.Ground) { foreign(g, uplinks.Rule{Priority: 5000, Table: 77}, 3) },
			says: func(d *proof.Decisions) { d.Out = byEth0(77) }},
		"main knows everybody by a tunnel": {want: health.RuleShadowed, why: "main has a route of its own",
			host: func(g *proof.Ground) {
				g.Facts.Links["tun0"] = uplinks.Link{Name: "tun0", Index: 9, Up: true, Connected: []netip.Prefix{netip.MustParsePrefix("203.0.0.0/8")}}
			}, says: func(d *proof.Decisions) { d.Out = uplinks.Decision{Link: 9, Table: uplinks.MainTable} }},
		"strict, and blind for the mark": {want: health.SourceCheck, why: "net.ipv4.conf.eth1.src_valid_mark = 0 (set in /etc/sysctl.d/x.conf)",
			host: func(g *proof.Ground) {
				strict(g, "0", "1", "0")
				g.SetBy = map[uplinks.Tunable]string{{Link: "eth1", Name: uplinks.SrcValidMark}: "/etc/sysctl.d/x.conf"}
			}, says: func(d *proof.Decisions) { d.In = refused }},
		"what is passed on is checked too": {want: health.SourceCheck, why: "passed on",
			host: func(g *proof.Ground) { strict(g, "1", "0", "0") }, says: func(d *proof.Decisions) { d.Inside.In = uplinks.Decision{Err: syscall.EXDEV} }},
		"refused, and not strict": {want: health.OtherCause, why: "refuses",
			host: func(g *proof.Ground) { strict(g, "1", "2", "0") }, says: func(d *proof.Decisions) { d.In = refused }},
		"the address is not the host's": {want: health.OtherCause, why: "not for this host", says: func(d *proof.Decisions) { d.In = byEth0(uplinks.MainTable) }},
		"inside's answers go astray":    {want: health.RouteMissing, why: "eth0", says: func(d *proof.Decisions) { d.Inside.Out = byEth0(uplinks.MainTable) }},
	} {
		t.Run(name, func(t *testing.T) {
			p, g, d := lte, ground(), right()
			if c.path != nil {
				c.path(&p)
			}
			if c.host != nil {
				c.host(&g)
			}
			if c.says != nil {
				c.says(&d)
			}
			want := health.Result(health.Yes)
			if c.want != "" {
				want = health.No
			}
			if c.fault != "" {
				want = c.fault
			}
			d = asked(d)
			if got := g.Asked(p, d); got.Result != want || got.Cause != c.want || !strings.Contains(got.Why, c.why) {
				t.Errorf("%+v, want %s %s %q", got, want, c.want, c.why)
			}
		})
	}
}

// asked gives the decisions as a kernel would.
func asked(d proof.Decisions) proof.Decisions {
	inside := &proof.Inside{Link: 4, Host: netip.MustParseAddr("198.18.0.2")}
	if d.Inside == nil {
		inside = nil
	}
	return proof.Ask(lte, asker.Addr(), inside, func(q uplinks.Question) uplinks.Decision {
		switch {
		case q.To == inside4 && q.In == lte.Index:
			return d.Inside.In
		case q.In == 4:
			return d.Inside.Out
		case q.In == lte.Index:
			return d.In
		case q.Mark == lte.Mark:
			return d.Out
		}
		return d.From
	})
}

var inside4 = netip.MustParseAddr("198.18.0.2")

func strict(g *proof.Ground, all, link, seesMark string) {
	g.Values[uplinks.Tunable{Link: "all", Name: "net.ipv4.conf.*.rp_filter"}] = all
	g.Values[uplinks.Tunable{Link: "eth1", Name: "net.ipv4.conf.*.rp_filter"}] = link
	g.Values[uplinks.Tunable{Link: "eth1", Name: uplinks.SrcValidMark}] = seesMark
}
