package uplinkstest

import (
	"net/netip"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

// scene is what a damage is done to: the world in sync, in one family.
type scene struct {
	world  World
	family uplinks.Family
	have   uplinks.State
	tool   uplinks.Tool
}

func damages(t *testing.T, open func(t *testing.T) World) {
	for _, family := range uplinks.Families {
		t.Run(family.String(), func(t *testing.T) {
			w := open(t)
			synced(t, w, Settings())
			clean, others := dump(t, w), w.Others(t)
			for _, d := range damage {
				if d.only != 0 && d.only != family {
					continue
				}
				facts, have := observe(t, w)
				after := d.do(t, scene{w, family, have, facts.Tools[family]})
				sharesAgree(t, w)
				if len(previewed(t, w, Settings())) == 0 {
					t.Errorf("%s: a preview sees nothing", d.name)
				}
				if _, err := uplinks.Sync(t.Context(), w, Settings()); err != nil {
					t.Fatalf("%s: %v", d.name, err)
				}
				inSync(t, w, Settings())
				same(t, d.name, clean, dump(t, w))
				for _, s := range after {
					w.By(t, s)
				}
				same(t, d.name+": what others have", others, w.Others(t))
			}
		})
	}
}

// damage is what others do. What they leave beside ours the steps that are returned take away.
var damage = []struct {
	name string
	only uplinks.Family
	do   func(t *testing.T, s scene) (after []uplinks.Step)
}{
	{"a rule deleted", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, uplinks.DelRule{Rule: s.markRule(t)})
	}},
	{"all rules deleted", 0, func(t *testing.T, s scene) []uplinks.Step {
		for r := range s.have.Rules {
			if r.Family == s.family {
				s.by(t, uplinks.DelRule{Rule: r})
			}
		}
		return nil
	}},
	{"a rule that leads elsewhere", 0, func(t *testing.T, s scene) []uplinks.Step {
		was := s.markRule(t)
		edited := was
		edited.Table += 1000
		return s.by(t, uplinks.DelRule{Rule: was}, uplinks.AddRule{Rule: edited})
	}},
	{"a rule that turned round", 0, func(t *testing.T, s scene) []uplinks.Step {
		was := s.markRule(t)
		edited := was
		edited.Not = !was.Not
		return s.by(t, uplinks.DelRule{Rule: was}, uplinks.AddRule{Rule: edited})
	}},
	{"a goto that leads elsewhere", 0, func(t *testing.T, s scene) []uplinks.Step {
		for r := range s.have.Rules {
			if r.Family == s.family && r.Action == uplinks.Goto && r.Not {
				s.by(t, uplinks.DelRule{Rule: r})
				r.Goto += 5000
				s.by(t, uplinks.AddRule{Rule: r})
			}
		}
		return nil
	}},
	{"a rule that selects more than ours", 0, func(t *testing.T, s scene) []uplinks.Step {
		for r := range s.have.Rules {
			if r.Family == s.family && r.In == "eth1" {
				r.In = ""
				s.by(t, uplinks.AddRule{Rule: r})
			}
		}
		return nil
	}},
	{"a rule that selects less than ours", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, uplinks.DelRule{Rule: s.markRule(t)}, OddRule{s.markRule(t), "uidrange 0-0"})
	}},
	{"a rule like ours that selects less", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, OddRule{s.markRule(t), "ipproto tcp"})
	}},
	{"a rule once more at another priority", 0, func(t *testing.T, s scene) []uplinks.Step {
		twin := s.markRule(t)
		twin.Priority += 1500
		return s.by(t, uplinks.AddRule{Rule: twin})
	}},
	{"a rule once more where it is asked first", 0, func(t *testing.T, s scene) []uplinks.Step {
		twin := s.markRule(t)
		twin.Priority, twin.Table = 5, uplinks.MainTable
		return s.by(t, uplinks.AddRule{Rule: twin})
	}},
	{"a route deleted", 0, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		return s.by(t, uplinks.DelRoute{Key: k, Route: r})
	}},
	{"the last resort deleted", 0, func(t *testing.T, s scene) []uplinks.Step {
		k := uplinks.RouteKey{Family: s.family, Table: 8202, Dst: s.family.Any(), Metric: uplinks.LastMetric}
		return s.by(t, uplinks.DelRoute{Key: k, Route: s.have.Routes[k]})
	}},
	{"a route by another gateway", 0, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		r.Gateway = s.neighbour(r)
		return s.by(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route replaced by somebody else's", 0, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		r.Gateway, r.Protocol = s.neighbour(r), stranger
		return s.by(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route with another metric", 0, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		k.Metric += 5
		return s.by(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route in a table of nobody's", 0, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		k.Table = 8888
		return s.by(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route hidden by one before it", uplinks.IPv4, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		r.Gateway, r.Protocol = s.neighbour(r), stranger
		return s.by(t, PrependRoute{k, r})
	}},
	{"a route hidden by two before it", uplinks.IPv4, func(t *testing.T, s scene) []uplinks.Step {
		k, r := s.way(t)
		r.Gateway, r.Protocol = s.neighbour(r), stranger
		s.by(t, PrependRoute{k, r})
		r.Gateway, r.Protocol = r.Gateway.Next(), uplinks.Protocol
		return s.by(t, PrependRoute{k, r})
	}},
	{"a chain with a rule more", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-A "+marks.Out+" -o lan0 -j RETURN"))
	}},
	{"a chain with a rule before ours", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-I "+marks.New+" 1 -i eth1 -j RETURN"))
	}},
	{"a chain whose rule got another mark", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-F "+marks.New, "-A "+marks.New+" -i eth0 -j CONNMARK --set-xmark 0x200/0x1f00",
			"-A "+marks.New+" -i eth1 -j CONNMARK --set-xmark 0x100/0x1f00"))
	}},
	{"a chain emptied", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-F "+marks.Pre))
	}},
	{"a chain deleted", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-D OUTPUT -j "+marks.Out, "-F "+marks.Out, "-X "+marks.Out))
	}},
	{"a chain of an older version", 0, func(t *testing.T, s scene) []uplinks.Step {
		old := marks.Prefix + "OLD"
		return s.by(t, Iptables(s.tool, "-N "+old, "-A "+old+" -j "+marks.New))
	}},
	{"a jump gone", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-D OUTPUT -j "+marks.Out))
	}},
	{"a jump twice", 0, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, Iptables(s.tool, "-A PREROUTING -j "+marks.Pre))
	}},
	{"a jump below a rule that ends the walk", 0, func(t *testing.T, s scene) []uplinks.Step {
		s.by(t, Iptables(s.tool, "-I PREROUTING 1 -i lan0 -j ACCEPT"))
		return []uplinks.Step{Iptables(s.tool, "-D PREROUTING -i lan0 -j ACCEPT")}
	}},
	{"a jump below a chain that ends the walk", 0, func(t *testing.T, s scene) []uplinks.Step {
		s.by(t, Iptables(s.tool, "-N DIVERT", "-A DIVERT -j ACCEPT", "-I OUTPUT 1 -o eth1 -j DIVERT"))
		return []uplinks.Step{Iptables(s.tool, "-D OUTPUT -o eth1 -j DIVERT", "-F DIVERT", "-X DIVERT")}
	}},
	{"a sysctl changed", uplinks.IPv4, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.SrcValidMark}, Value: "0"})
	}},
	{"a sysctl of the namespace changed", 0, func(t *testing.T, s scene) []uplinks.Step {
		name := map[uplinks.Family]string{uplinks.IPv4: uplinks.FwmarkAccept, uplinks.IPv6: uplinks.Reflect6}[s.family]
		return s.by(t, uplinks.SetTunable{Tunable: uplinks.Tunable{Name: name}, Value: "0"})
	}},
	{"a link in another group", uplinks.IPv4, func(t *testing.T, s scene) []uplinks.Step {
		return s.by(t, uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}, Value: "5"})
	}},
}

func (s scene) by(t *testing.T, steps ...uplinks.Step) []uplinks.Step {
	t.Helper()
	for _, step := range steps {
		s.world.By(t, step)
	}
	return nil
}

// markRule is the rule for the mark of eth1.
func (s scene) markRule(t *testing.T) uplinks.Rule {
	t.Helper()
	for r := range s.have.Rules {
		if r.Family == s.family && r.Mask != 0 && r.Table == 8202 {
			return r
		}
	}
	t.Fatalf("no rule for the mark of eth1 in\n%s", Dump(s.have))
	return uplinks.Rule{}
}

// way is the default route of eth1's table.
func (s scene) way(t *testing.T) (uplinks.RouteKey, uplinks.Route) {
	t.Helper()
	for k, r := range s.have.Routes {
		if k.Family == s.family && k.Table == 8202 && k.Dst == s.family.Any() && k.Metric != uplinks.LastMetric {
			return k, r
		}
	}
	t.Fatalf("no default route by eth1 in\n%s", Dump(s.have))
	return uplinks.RouteKey{}, uplinks.Route{}
}

// neighbour is another gateway than the route's.
func (s scene) neighbour(r uplinks.Route) netip.Addr {
	near := map[uplinks.Family]string{uplinks.IPv4: "192.0.2.3", uplinks.IPv6: "2001:db8:b::3"}
	all := []netip.Addr{netip.MustParseAddr(near[s.family]), r.Gateway}
	return all[slices.IndexFunc(all, func(a netip.Addr) bool { return a != r.Gateway })]
}
