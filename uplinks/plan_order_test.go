package uplinks_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// TestNoIntermediateStepMisroutesPackets executes plans step by step on a model of the kernel. After each step every packet
// takes the route from before the plan or that from after it, so a packet whose route does not change is never misrouted.
func TestNoIntermediateStepMisroutesPackets(t *testing.T) {
	none := uplinks.Settings{}
	many, manyFacts := uplinkstest.ManyUplinks(40, newRand(t))
	fewer := many
	fewer.Uplinks = slices.Delete(slices.Clone(many.Uplinks), 20, 21)
	low := many
	low.Uplinks = slices.DeleteFunc(slices.Clone(many.Uplinks), func(u uplinks.Uplink) bool { return u.ID >= 64 })
	two, facts := uplinkstest.Settings(), uplinkstest.Facts()
	first, second, gateway, release := two, two, two, two
	first.Uplinks, second.Uplinks = two.Uplinks[:1], two.Uplinks[1:]
	gateway.Uplinks = slices.Clone(two.Uplinks)
	gateway.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.254")}
	gateway.Uplinks[0].Gateway6 = uplinks.Gateway{Addr: netip.MustParseAddr("2001:db8:a::fe")}
	release.Uplinks = slices.Clone(two.Uplinks)
	release.Uplinks[1].WhenDown = uplinks.Release
	v4 := two
	v4.Uplinks = slices.Clone(two.Uplinks)
	v4.Uplinks[1].Gateway6 = uplinks.Gateway{}
	for name, c := range map[string]struct {
		from, to uplinks.Settings
		facts    uplinks.Facts
	}{
		"from nothing":                  {none, two, facts},
		"to nothing":                    {two, none, facts},
		"from nothing, many":            {none, many, manyFacts},
		"a second uplink":               {first, two, facts},
		"an uplink with a smaller id":   {second, two, facts},
		"the second uplink goes":        {two, first, facts},
		"the first uplink goes":         {two, second, facts},
		"one of many goes":              {many, fewer, manyFacts},
		"one of many comes":             {fewer, many, manyFacts},
		"all of the high ids go":        {many, low, manyFacts},
		"all of the high ids come":      {low, many, manyFacts},
		"other gateways":                {two, gateway, facts},
		"held replies are released":     {two, release, facts},
		"released replies are held":     {release, two, facts},
		"a family is left alone":        {two, v4, facts},
		"a family is managed too":       {v4, two, facts},
		"nothing changes, step by step": {two, two, facts},
	} {
		t.Run(name, func(t *testing.T) { checkEachStep(t, c.from, c.to, c.facts) })
	}
}

func checkEachStep(t *testing.T, from, to uplinks.Settings, facts uplinks.Facts) {
	t.Helper()
	fake := uplinkstest.NewFake(facts)
	first, err := uplinks.Sync(t.Context(), fake, from)
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := uplinks.Preview(t.Context(), fake, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	before, after := newKernelModel(mainRoutes(facts)), newKernelModel(mainRoutes(facts))
	for _, s := range first {
		before.apply(s)
	}
	for _, s := range slices.Concat(first, plan) {
		after.apply(s)
	}
	packets := traffic(from, to, facts)
	hopsBefore, hopsAfter := routeAll(before, packets), routeAll(after, packets)
	k := before
	for _, s := range plan {
		k.apply(s)
		for i, f := range packets {
			if got := k.route(f); got != hopsBefore[i] && got != hopsAfter[i] {
				t.Fatalf("after %s\na packet is misrouted: %+v\nbefore: %+v\nnow: %+v\nafter: %+v\nplan:\n%s", s, f, hopsBefore[i], got, hopsAfter[i], plan)
			}
		}
	}
}

// routeAll returns the next hop of each packet.
func routeAll(k *kernelModel, packets []packet) []nextHop {
	hops := make([]nextHop, 0, len(packets))
	for _, f := range packets {
		hops = append(hops, k.route(f))
	}
	return hops
}

// mainRoutes returns the routes of main by the facts.
func mainRoutes(facts uplinks.Facts) map[uplinks.RouteKey]uplinks.Route {
	routes := map[uplinks.RouteKey]uplinks.Route{}
	for _, l := range facts.Links {
		for _, c := range l.Connected {
			routes[uplinks.RouteKey{Family: uplinks.FamilyOf(c.Dst.Addr()), Table: uplinks.MainTable, Dst: c.Dst}] = uplinks.Route{Type: uplinks.Unicast, Link: l.Name}
		}
		for _, hop := range l.Defaults {
			key := uplinks.RouteKey{Family: hop.Family, Table: uplinks.MainTable, Dst: hop.Family.DefaultPrefix(), Metric: hop.Metric}
			routes[key] = uplinks.Route{Type: uplinks.Unicast, Link: l.Name, Gateway: hop.Gateway}
		}
	}
	return routes
}

// traffic returns packets for a host with these facts: its own, from each of its addresses and without a source, and
// forwarded ones. Packets have marks only if there are chains before and after the plan.
func traffic(from, to uplinks.Settings, facts uplinks.Facts) (all []packet) {
	marks := []uint32{0, 0x8000}
	if len(from.Uplinks) > 0 && len(to.Uplinks) > 0 {
		for _, u := range slices.Concat(from.Uplinks[:min(3, len(from.Uplinks))], to.Uplinks[len(to.Uplinks)-1:]) {
			marks = append(marks, uint32(to.Mark(u)), uint32(to.Mark(u))|0xa000000a)
		}
	}
	for _, family := range uplinks.Families {
		remotes := map[uplinks.Family]string{uplinks.IPv4: "203.0.113.9", uplinks.IPv6: "2001:db8:ffff::9"}
		remote := netip.MustParseAddr(remotes[family])
		targets := []netip.Addr{remote}
		sources := []netip.Addr{{}}
		for _, name := range []string{"eth0", "eth1", "lan0", "eth7"} {
			for _, a := range facts.Links[name].Addrs {
				if uplinks.FamilyOf(a.Prefix.Addr()) == family {
					sources = append(sources, a.Prefix.Addr())
					targets = append(targets, a.Prefix.Addr().Next().Next())
				}
			}
		}
		for _, mark := range marks {
			for _, target := range targets {
				for _, source := range sources {
					all = append(all, packet{family, mark, "lo", source, target})
				}
				for _, in := range []string{"eth0", "eth1", "lan0"} {
					all = append(all, packet{family, mark, in, remote, target})
				}
			}
		}
	}
	return all
}

func TestPlanIsDeterministic(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(60, newRand(t))
	var want string
	for i := range 100 {
		plan := uplinks.Diff(uplinks.Desired(s, facts, nil), uplinks.NewState()).String()
		plan += uplinks.Diff(uplinks.NewState(), uplinks.Desired(s, facts, nil)).String()
		if i > 0 && plan != want {
			t.Fatal("two plans for the same host differ")
		}
		want = plan
	}
}

func TestPlanFromStateToItselfIsEmpty(t *testing.T) {
	s, facts := uplinkstest.ManyUplinks(60, newRand(t))
	state := uplinks.Desired(s, facts, nil)
	if plan := uplinks.Diff(state, state); len(plan) > 0 {
		t.Errorf("the plan from a state to itself:\n%s", plan)
	}
}

// TestOldChainsStayWhenNewBackendFails moves the chains to the other backend, which fails.
func TestOldChainsStayWhenNewBackendFails(t *testing.T) {
	facts := uplinkstest.Facts()
	k := uplinkstest.NewFake(facts)
	if _, err := uplinks.Sync(t.Context(), k, uplinkstest.Settings()); err != nil {
		t.Fatal(err)
	}
	_, before, _ := k.Observe(t.Context())
	for family, firewall := range facts.Firewalls {
		firewall.Backend, firewall.Command = "legacy", firewall.Command+"-legacy"
		facts.Firewalls[family] = firewall
	}
	k.SetFacts(facts)
	k.Fail = func(s uplinks.Step) error {
		if load, ok := s.(uplinks.LoadChains); ok && load.Firewall.Backend == "legacy" {
			return fmt.Errorf("%s does not work", load.Firewall.Command)
		}
		return nil
	}
	if _, err := uplinks.Sync(t.Context(), k, uplinkstest.Settings()); err == nil {
		t.Fatal("no error")
	}
	_, after, _ := k.Observe(t.Context())
	if uplinkstest.Dump(before) != uplinkstest.Dump(after) {
		t.Errorf("the state after the failure:\n%s", uplinkstest.Dump(after))
	}
	k.Fail = nil
	if _, err := uplinks.Sync(t.Context(), k, uplinkstest.Settings()); err != nil {
		t.Fatal(err)
	}
	_, after, _ = k.Observe(t.Context())
	for key := range after.Chains {
		if key.Firewall.Backend != "legacy" {
			t.Errorf("a chain is left in the old backend: %s %s", key.Firewall.Command, key.Name)
		}
	}
}

func BenchmarkPlan255(b *testing.B) {
	s, facts := uplinkstest.ManyUplinks(255, nil)
	for b.Loop() {
		if plan := uplinks.Diff(uplinks.Desired(s, facts, nil), uplinks.NewState()); len(plan) < 255*8 {
			b.Fatalf("only %d steps", len(plan))
		}
	}
}
