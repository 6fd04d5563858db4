package uplinkstest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

// damageTarget is a world in sync, with its state in one family.
type damageTarget struct {
	world    World
	family   uplinks.Family
	observed uplinks.State
	firewall uplinks.FirewallKey
}

// damageIsRepaired makes each damage in each family, and checks that a sync restores the state and nothing else.
func damageIsRepaired(t *testing.T, open func(t *testing.T) World) {
	for _, family := range uplinks.Families {
		t.Run(family.String(), func(t *testing.T) {
			w := open(t)
			mustSync(t, w, Settings())
			clean, others := dumpState(t, w), w.DumpForeign(t)
			for _, d := range damage {
				if d.family != 0 && d.family != family {
					continue
				}
				facts, have := observe(t, w)
				after := d.apply(t, damageTarget{w, family, have, facts.Firewalls[family]})
				checkScopes(t, w)
				if len(mustPreview(t, w, Settings())) == 0 {
					t.Errorf("%s: the plan is empty", d.name)
				}
				if _, err := uplinks.Sync(t.Context(), w, Settings()); err != nil {
					t.Fatalf("%s: %v", d.name, err)
				}
				mustBeInSync(t, w, Settings())
				mustEqual(t, d.name, clean, dumpState(t, w))
				for _, s := range after {
					w.ApplyForeign(t, s)
				}
				mustEqual(t, d.name+": foreign objects", others, w.DumpForeign(t))
			}
		})
	}
}

// damage lists changes that another program makes. apply returns the commands that remove what remains of them beside
// replypath's objects.
var damage = []struct {
	name   string
	family uplinks.Family
	apply  func(t *testing.T, s damageTarget) (after []fmt.Stringer)
}{
	{"a rule deleted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.applyForeign(t, uplinks.DelRule{Rule: s.markRule(t)})
	}},
	{"all rules deleted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		for r := range s.observed.Rules {
			if r.Family == s.family {
				s.applyForeign(t, uplinks.DelRule{Rule: r})
			}
		}
		return nil
	}},
	{"a rule for another table", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		was := s.markRule(t)
		edited := was
		edited.Table += 1000
		return s.applyForeign(t, uplinks.DelRule{Rule: was}, uplinks.AddRule{Rule: edited})
	}},
	{"a rule that is inverted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		was := s.markRule(t)
		edited := was
		edited.Not = !was.Not
		return s.applyForeign(t, uplinks.DelRule{Rule: was}, uplinks.AddRule{Rule: edited})
	}},
	{"a goto with another target", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		for r := range s.observed.Rules {
			if r.Family == s.family && r.Action == uplinks.Goto && r.Not {
				s.applyForeign(t, uplinks.DelRule{Rule: r})
				r.Goto += 5000
				s.applyForeign(t, uplinks.AddRule{Rule: r})
			}
		}
		return nil
	}},
	{"a rule with fewer selectors", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		for r := range s.observed.Rules {
			if r.Family == s.family && r.IIF == "eth1" {
				r.IIF = ""
				s.applyForeign(t, uplinks.AddRule{Rule: r})
			}
		}
		return nil
	}},
	{"a rule with another selector instead", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.applyForeign(t, uplinks.DelRule{Rule: s.markRule(t)}, ModifiedRule{s.markRule(t), "uidrange 0-0"})
	}},
	{"a second rule with another selector", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.applyForeign(t, ModifiedRule{s.markRule(t), "ipproto tcp"})
	}},
	{"a second rule at another priority", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		duplicate := s.markRule(t)
		duplicate.Priority += 1500
		return s.applyForeign(t, uplinks.AddRule{Rule: duplicate})
	}},
	{"a second rule before all others", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		duplicate := s.markRule(t)
		duplicate.Priority, duplicate.Table = 5, uplinks.MainTable
		return s.applyForeign(t, uplinks.AddRule{Rule: duplicate})
	}},
	{"a route deleted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		return s.applyForeign(t, uplinks.DelRoute{Key: k, Route: r})
	}},
	{"the last resort deleted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k := uplinks.RouteKey{Family: s.family, Table: 8202, Dst: s.family.DefaultPrefix(), Metric: uplinks.LastMetric}
		return s.applyForeign(t, uplinks.DelRoute{Key: k, Route: s.observed.Routes[k]})
	}},
	{"a route with another gateway", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		r.Gateway = s.otherGateway(r)
		return s.applyForeign(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route replaced by a foreign one", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		r.Gateway, r.Protocol = s.otherGateway(r), foreignProtocol
		return s.applyForeign(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route with another metric", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		k.Metric += 5
		return s.applyForeign(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route in an unused table", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		k.Table = 8888
		return s.applyForeign(t, uplinks.SetRoute{Key: k, Route: r})
	}},
	{"a route hidden by one before it", uplinks.IPv4, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		r.Gateway, r.Protocol = s.otherGateway(r), foreignProtocol
		return s.applyForeign(t, PrependRoute{k, r})
	}},
	{"a route hidden by two before it", uplinks.IPv4, func(t *testing.T, s damageTarget) []fmt.Stringer {
		k, r := s.defaultRoute(t)
		r.Gateway, r.Protocol = s.otherGateway(r), foreignProtocol
		s.applyForeign(t, PrependRoute{k, r})
		r.Gateway, r.Protocol = r.Gateway.Next(), uplinks.Protocol
		return s.applyForeign(t, PrependRoute{k, r})
	}},
	{"a chain with another rule", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "add rule TABLE FAM-out oifname lan0 return", "-A "+marks.Out+" -o lan0 -j RETURN")
	}},
	{"a chain with another rule first", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "insert rule TABLE FAM-pre iifname eth1 return", "-I "+marks.New+" 1 -i eth1 -j RETURN")
	}},
	{"a chain with exchanged marks", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "flush map TABLE FAM-in-map; add element TABLE FAM-in-map { eth0 : goto FAM-in2, eth1 : goto FAM-in1 }",
			"-F "+marks.New, "-A "+marks.New+" -i eth0 -j CONNMARK --set-xmark 0x200/0x1f00",
			"-A "+marks.New+" -i eth1 -j CONNMARK --set-xmark 0x100/0x1f00")
	}},
	{"a chain emptied", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "flush chain TABLE FAM-pre", "-F "+marks.Pre)
	}},
	{"a chain deleted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "flush chain TABLE output; flush chain TABLE FAM-output; flush chain TABLE FAM-out; delete chain TABLE FAM-out", "-D OUTPUT -j "+marks.Out, "-F "+marks.Out, "-X "+marks.Out)
	}},
	{"a chain of an older version", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		old := marks.Prefix + "OLD"
		return s.harmChains(t, "add chain TABLE FAM-old; add rule TABLE FAM-old jump FAM-out", "-N "+old, "-A "+old+" -j "+marks.New)
	}},
	{"a jump deleted", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "flush chain TABLE FAM-output", "-D OUTPUT -j "+marks.Out)
	}},
	{"a jump twice", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.harmChains(t, "add rule TABLE FAM-prerouting jump FAM-pre", "-A PREROUTING -j "+marks.Pre)
	}},
	{"a jump after a rule that accepts", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		if s.firewall.Backend == marks.Nftables {
			return s.harmChains(t, "insert rule TABLE prerouting iifname lan0 accept")
		}
		s.applyForeign(t, Iptables(s.firewall, "-I PREROUTING 1 -i lan0 -j ACCEPT"))
		return []fmt.Stringer{Iptables(s.firewall, "-D PREROUTING -i lan0 -j ACCEPT")}
	}},
	{"a jump after a chain that accepts", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		if s.firewall.Backend == marks.Nftables {
			return s.harmChains(t, "insert rule TABLE FAM-output oifname eth1 accept")
		}
		s.applyForeign(t, Iptables(s.firewall, "-N DIVERT", "-A DIVERT -j ACCEPT", "-I OUTPUT 1 -o eth1 -j DIVERT"))
		return []fmt.Stringer{Iptables(s.firewall, "-D OUTPUT -o eth1 -j DIVERT", "-F DIVERT", "-X DIVERT")}
	}},
	{"a sysctl changed", uplinks.IPv4, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.applyForeign(t, uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.SrcValidMark}, Value: "0"})
	}},
	{"a sysctl of the namespace changed", 0, func(t *testing.T, s damageTarget) []fmt.Stringer {
		name := map[uplinks.Family]string{uplinks.IPv4: uplinks.FwmarkAccept, uplinks.IPv6: uplinks.Reflect6}[s.family]
		return s.applyForeign(t, uplinks.SetTunable{Tunable: uplinks.Tunable{Name: name}, Value: "0"})
	}},
	{"a link in another group", uplinks.IPv4, func(t *testing.T, s damageTarget) []fmt.Stringer {
		return s.applyForeign(t, uplinks.SetTunable{Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}, Value: "5"})
	}},
}

// applyForeign runs the commands and returns nil: nothing of them remains.
func (s damageTarget) applyForeign(t *testing.T, steps ...fmt.Stringer) []fmt.Stringer {
	t.Helper()
	for _, step := range steps {
		s.world.ApplyForeign(t, step)
	}
	return nil
}

// harmChains runs the command of nft(8), with the family's names, or those of iptables.
func (s damageTarget) harmChains(t *testing.T, nft string, iptables ...string) []fmt.Stringer {
	t.Helper()
	if s.firewall.Backend != marks.Nftables {
		return s.applyForeign(t, Iptables(s.firewall, iptables...))
	}
	words := strings.NewReplacer("TABLE", "inet "+marks.NFTTable, "FAM-", marks.NFTFamily(s.family == uplinks.IPv6)+"-")
	return s.applyForeign(t, NFTCommand(words.Replace(nft)))
}

// markRule returns the rule for the mark of eth1.
func (s damageTarget) markRule(t *testing.T) uplinks.Rule {
	t.Helper()
	for r := range s.observed.Rules {
		if r.Family == s.family && r.Mask != 0 && r.Table == 8202 {
			return r
		}
	}
	t.Fatalf("no rule for the mark of eth1 in\n%s", Dump(s.observed))
	return uplinks.Rule{}
}

// defaultRoute returns the default route of eth1's table.
func (s damageTarget) defaultRoute(t *testing.T) (uplinks.RouteKey, uplinks.Route) {
	t.Helper()
	for k, r := range s.observed.Routes {
		if k.Family == s.family && k.Table == 8202 && k.Dst == s.family.DefaultPrefix() && k.Metric != uplinks.LastMetric {
			return k, r
		}
	}
	t.Fatalf("no default route by eth1 in\n%s", Dump(s.observed))
	return uplinks.RouteKey{}, uplinks.Route{}
}

// otherGateway returns a gateway that is not the route's.
func (s damageTarget) otherGateway(r uplinks.Route) netip.Addr {
	near := map[uplinks.Family]string{uplinks.IPv4: "192.0.2.3", uplinks.IPv6: "2001:db8:b::3"}
	all := []netip.Addr{netip.MustParseAddr(near[s.family]), r.Gateway}
	return all[slices.IndexFunc(all, func(a netip.Addr) bool { return a != r.Gateway })]
}
