package rpdb_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// rule returns a rule that looks up table 100 + its priority, without selectors or suppressors.
func rule(p uplinks.Priority, change ...func(*rpdb.Rule)) rpdb.Rule {
	r := rpdb.Rule{Family: uplinks.IPv4, Priority: p, Action: uplinks.Lookup, Table: uplinks.Table(100 + p),
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	for _, c := range change {
		c(&r)
	}
	return r
}

func does(a uplinks.Action) func(*rpdb.Rule) { return func(r *rpdb.Rule) { r.Action = a } }
func jumps(p uplinks.Priority) func(*rpdb.Rule) {
	return func(r *rpdb.Rule) { r.Action, r.Goto = uplinks.Goto, p }
}

func not(r *rpdb.Rule) { r.Not = true }

func route(t uplinks.Table, dst, link string, change ...func(*rpdb.Route)) rpdb.Route {
	r := rpdb.Route{Table: t, Type: uplinks.Unicast, Dst: netip.MustParsePrefix(dst), Hops: []rpdb.Hop{{Link: link, Weight: 1}}}
	for _, c := range change {
		c(&r)
	}
	return r
}

func database(rules []rpdb.Rule, routes ...rpdb.Route) *rpdb.Database {
	d := &rpdb.Database{Family: uplinks.IPv4, Rules: rules, Tables: map[uplinks.Table][]rpdb.Route{},
		Links: map[string]rpdb.Link{"eth0": {Group: 10}, "eth1": {VRF: "red"}, "red": {VRF: "red", VRFTable: 900}}}
	for _, r := range routes {
		d.Tables[r.Table] = append(d.Tables[r.Table], r)
	}
	return d
}

func packet(change ...func(*rpdb.Packet)) rpdb.Packet {
	p := rpdb.Packet{Family: uplinks.IPv4, To: netip.MustParseAddr("203.0.113.9"), Proto: rpdb.UDP}
	for _, c := range change {
		c(&p)
	}
	return p
}

// walkText returns the steps and the result in short form.
func walkText(steps []rpdb.Step, a rpdb.Answer) string {
	var w []string
	for _, s := range steps {
		w = append(w, fmt.Sprintf("%d %s", s.Rule.Priority, s.Outcome))
	}
	switch {
	case a.Error != 0:
		w = append(w, a.Error.Error())
	default:
		w = append(w, a.Route.String())
	}
	return strings.Join(w, ", ")
}

func TestWalkFollowsRuleActions(t *testing.T) {
	far := func(dst string) rpdb.Route { return route(109, dst, "eth0") }
	for name, c := range map[string]struct {
		rules []rpdb.Rule
		route rpdb.Route
		want  string
	}{
		"an empty table":        {[]rpdb.Rule{rule(1), rule(9)}, far("0.0.0.0/0"), "1 empty, 9 decided, default dev eth0"},
		"a nop":                 {[]rpdb.Rule{rule(1, does(uplinks.Nop)), rule(9)}, far("0.0.0.0/0"), "1 nop, 9 decided, default dev eth0"},
		"a goto":                {[]rpdb.Rule{rule(1, jumps(5)), rule(2, does(rpdb.Blackhole)), rule(5, not), rule(9)}, far("0.0.0.0/0"), "1 jumped, 5 missed, 9 decided, default dev eth0"},
		"a goto to nowhere":     {[]rpdb.Rule{rule(1, jumps(5)), rule(9)}, far("0.0.0.0/0"), "1 unresolved, 9 decided, default dev eth0"},
		"a blackhole":           {[]rpdb.Rule{rule(1, does(rpdb.Blackhole)), rule(9)}, far("0.0.0.0/0"), "1 decided, " + syscall.EINVAL.Error()},
		"an unreachable":        {[]rpdb.Rule{rule(1, does(rpdb.Unreachable)), rule(9)}, far("0.0.0.0/0"), "1 decided, " + syscall.ENETUNREACH.Error()},
		"a prohibit":            {[]rpdb.Rule{rule(1, does(rpdb.Prohibit)), rule(9)}, far("0.0.0.0/0"), "1 decided, " + syscall.EACCES.Error()},
		"nothing":               {[]rpdb.Rule{rule(9)}, far("192.0.2.0/24"), "9 empty, " + syscall.ENETUNREACH.Error()},
		"a prefix too short":    {[]rpdb.Rule{rule(9, func(r *rpdb.Rule) { r.SuppressLength = 24 })}, far("203.0.113.0/24"), "9 too short, " + syscall.ENETUNREACH.Error()},
		"a prefix long enough":  {[]rpdb.Rule{rule(9, func(r *rpdb.Rule) { r.SuppressLength = 23 })}, far("203.0.113.0/24"), "9 decided, 203.0.113.0/24 dev eth0"},
		"a link of the group":   {[]rpdb.Rule{rule(9, func(r *rpdb.Rule) { r.SuppressGroup = 10 })}, far("203.0.113.0/24"), "9 in group, " + syscall.ENETUNREACH.Error()},
		"a link of another one": {[]rpdb.Rule{rule(9, func(r *rpdb.Rule) { r.SuppressGroup = 0 })}, far("203.0.113.0/24"), "9 decided, 203.0.113.0/24 dev eth0"},
	} {
		if got := walkText(database(c.rules, c.route).Walk(packet())); got != c.want {
			t.Errorf("%s: got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestRefusingRouteEndsLookUpAndThrowContinues(t *testing.T) {
	for kind, want := range map[uplinks.RouteType]string{
		rpdb.BlackholeRoute: "1 decided, " + syscall.EINVAL.Error(),
		uplinks.Unreachable: "1 decided, " + syscall.EHOSTUNREACH.Error(),
		rpdb.ProhibitRoute:  "1 decided, " + syscall.EACCES.Error(),
		rpdb.Throw:          "1 thrown, 9 decided, default dev eth0",
	} {
		refusal := route(101, "203.0.113.0/24", "", func(r *rpdb.Route) { r.Type = kind })
		d := database([]rpdb.Rule{rule(1, func(r *rpdb.Rule) { r.SuppressLength = 32 }), rule(9)}, refusal, route(101, "0.0.0.0/0", "eth1"), route(109, "0.0.0.0/0", "eth0"))
		if got := walkText(d.Walk(packet())); got != want {
			t.Errorf("type %d: got %s\nwant %s", kind, got, want)
		}
	}
}

func TestL3mdevRuleUsesTheTableOfTheVRF(t *testing.T) {
	rules := []rpdb.Rule{rule(1, func(r *rpdb.Rule) { r.L3mdev, r.Table = true, 0 }), rule(9)}
	d := database(rules, route(900, "0.0.0.0/0", "eth1"), route(109, "0.0.0.0/0", "eth0"))
	in := func(link string) rpdb.Packet {
		return packet(func(p *rpdb.Packet) { p.In, p.From = link, netip.MustParseAddr("192.0.2.9") })
	}
	for link, want := range map[string]string{"eth1": "1 decided, default dev eth1", "eth0": "1 missed, 9 decided, default dev eth0"} {
		if got := walkText(d.Walk(in(link))); got != want {
			t.Errorf("in by %s: got %s\nwant %s", link, got, want)
		}
	}
}

func TestMismatchNamesTheSelector(t *testing.T) {
	for want, change := range map[string]func(*rpdb.Rule){
		"in by lo":             func(r *rpdb.Rule) { r.In = "eth0" },
		"bound to no link":     func(r *rpdb.Rule) { r.Out = "eth0" },
		"mark 0x100":           func(r *rpdb.Rule) { r.Mark, r.Mask = 0x200, 0x1f00 },
		"uid 7":                func(r *rpdb.Rule) { r.UIDs = &rpdb.UIDRange{First: 8, Last: 9} },
		"no source chosen yet": func(r *rpdb.Rule) { r.From = netip.MustParsePrefix("192.0.2.0/24") },
		"to 203.0.113.9":       func(r *rpdb.Rule) { r.To = netip.MustParsePrefix("192.0.2.0/24") },
		"tos 0x8":              func(r *rpdb.Rule) { r.TOS, r.TOSMask = 4, 0x1c },
		"tcp":                  func(r *rpdb.Rule) { r.Proto = rpdb.UDP },
		"sport 1000":           func(r *rpdb.Rule) { r.Sport = rpdb.PortRange{First: 1001, Last: 2000} },
		"dport 443":            func(r *rpdb.Rule) { r.Dport = rpdb.PortRange{First: 440, Mask: 0xffff} },
		"in no VRF":            func(r *rpdb.Rule) { r.L3mdev = true },
	} {
		p := packet(func(p *rpdb.Packet) {
			p.Mark, p.UID, p.TOS, p.Proto, p.Sport, p.Dport = 0x100, 7, 8, rpdb.TCP, 1000, 443
		})
		steps, _ := database([]rpdb.Rule{rule(1, change)}).Walk(p)
		if steps[0].Outcome != rpdb.NotMatched || steps[0].Mismatch != want {
			t.Errorf("got %s, because %s; want because %s", steps[0].Outcome, steps[0].Mismatch, want)
		}
	}
}

func TestRulesAndRoutesPrintInIPSyntax(t *testing.T) {
	r := rule(1, not, func(r *rpdb.Rule) {
		r.From, r.To = netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.9/32")
		r.Mark, r.Mask, r.In, r.Out, r.Proto, r.Dport = 0x100, 0x1f00, "lo", "eth0", rpdb.TCP, rpdb.PortRange{First: 440, Last: 443}
		r.UIDs, r.TOS, r.TOSMask, r.SuppressLength, r.SuppressGroup = &rpdb.UIDRange{First: 1, Last: 2}, 8, 0x1c, 0, 10
	})
	names := rpdb.Names{Tables: map[uplinks.Table]string{101: "fibre"}}
	want := "not from 192.0.2.0/24 to 203.0.113.9 tos 0x8 fwmark 0x100/0x1f00 iif lo oif eth0 uidrange 1-2 ipproto tcp dport 440-443 lookup fibre suppress_prefixlength 0 suppress_ifgroup 10"
	if got := r.Text(names); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	multipath := route(101, "0.0.0.0/0", "eth0", func(r *rpdb.Route) {
		r.Nexthop, r.Metric = 7, 5
		r.Hops = append(r.Hops, rpdb.Hop{Link: "eth1", Via: netip.MustParseAddr("192.0.2.1"), Weight: 2, OnLink: true})
	})
	want = "default nhid 7 nexthop dev eth0 weight 1 nexthop via 192.0.2.1 dev eth1 onlink weight 2 metric 5"
	if got := multipath.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if names := (rpdb.Names{}); !slices.Equal([]string{names.TableName(254), names.TableName(255), names.TableName(7), names.ProtocolName(82), names.ProtocolName(77)}, []string{"main", "local", "7", "replypath", "77"}) {
		t.Error("tables and protocols without files have the kernel's names")
	}
}
