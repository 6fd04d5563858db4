package uplinks_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// classifierFacts returns the facts of a host with two uplinks on eth1.
func classifierFacts() uplinks.Facts {
	f := routerFacts(marks.NFT)[4]
	f.RouterMACs = map[string][]string{"dsl": {"02:00:00:00:0d:00"}, "cable": {"02:00:00:00:0d:01", "02:00:00:00:0d:00"}}
	return f
}

func TestClassifiersAreOfLinksWithSeveralUplinks(t *testing.T) {
	const dsl, cable = "0x200 8202 192.0.2.1 0x200 8202 fe80::1", "0x300 8203 192.0.2.12 0x300 8203 192.0.2.3"
	const known = "0x0 02:00:00:00:0c:01 0x200 02:00:00:00:0d:00 0x300 02:00:00:00:0d:01"
	for name, c := range map[string]struct {
		change         func(s *uplinks.Settings, f *uplinks.Facts)
		routers, known string
		ipv4, ipv6     bool
	}{
		"two uplinks":     {func(*uplinks.Settings, *uplinks.Facts) {}, "0x200 8202 192.0.2.1 " + cable, known, true, false},
		"one uplink":      {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks = s.Uplinks[:2] }, "", "", false, false},
		"the link is not": {func(_ *uplinks.Settings, f *uplinks.Facts) { delete(f.Links, "eth1") }, "", "", false, false},
		"IPv6 too": {func(s *uplinks.Settings, _ *uplinks.Facts) {
			s.Uplinks[1].Gateway6 = uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}
			s.Uplinks[2].Routers = append(s.Uplinks[2].Routers, netip.MustParseAddr("fe80::12"))
		}, dsl + " " + cable, known, true, true},
		"a named hardware address": {func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[2].MACs = []string{"02:00:00:00:0d:01"} },
			"0x200 8202 192.0.2.1 " + cable, "0x0 02:00:00:00:0d:01 0x200 02:00:00:00:0d:00", true, false},
		"IPv4 is not forwarded": {func(_ *uplinks.Settings, f *uplinks.Facts) {
			f.NotForwarding = map[uplinks.PathKey]bool{{Uplink: "dsl", Family: uplinks.IPv4}: true, {Uplink: "cable", Family: uplinks.IPv4}: true}
		}, "", "", false, false},
		"refused": {func(_ *uplinks.Settings, f *uplinks.Facts) { f.RouterClassifierRefused.All = "no BPF" }, "", "", false, false},
		"refused there": {func(_ *uplinks.Settings, f *uplinks.Facts) {
			f.RouterClassifierRefused.Links = map[int]string{f.Links["eth1"].Index: "no place"}
		}, "", "", false, false},
	} {
		s, f := sharedSettings(), classifierFacts()
		c.change(&s, &f)
		want := uplinks.Desired(s, f, nil)
		var got uplinks.RouterClassifier
		for _, c := range want.RouterClassifiers {
			got = c
		}
		var routers, known []string
		for _, r := range got.Routers {
			routers = append(routers, fmt.Sprintf("%s %d %s", r.Mark, r.Table, r.Addr))
		}
		for _, k := range got.Known {
			known = append(known, fmt.Sprintf("%s %s", k.Mark, k.MAC))
		}
		if len(want.RouterClassifiers) > 1 || strings.Join(routers, " ") != c.routers || strings.Join(known, " ") != c.known || got.IPv4 != c.ipv4 || got.IPv6 != c.ipv6 {
			t.Errorf("%s: %d classifiers, %+v; want %+v", name, len(want.RouterClassifiers), got, c)
		}
		taken := 0
		for _, chain := range want.Chains {
			for _, r := range chain.Rules {
				if strings.Contains(r.String(), "-m mark --mark 0x200/0x1f00 -m conntrack") {
					taken++
				}
			}
		}
		if (taken > 0) != (c.routers != "") {
			t.Errorf("%s: %d rules take its marks", name, taken)
		}
	}
}

// A classifier gives marks only while there are chains that take them, and follows what it asks for.
func TestClassifierComesAfterTheChainsAndGoesBefore(t *testing.T) {
	k := uplinkstest.NewFake(classifierFacts())
	shared, alone := sharedSettings(), sharedSettings()
	alone.Uplinks = alone.Uplinks[:2]
	position := func(p uplinks.Plan, is func(uplinks.Step) bool) (at []int) {
		for i, s := range p {
			if is(s) {
				at = append(at, i)
			}
		}
		return at
	}
	set := func(s uplinks.Step) bool { _, is := s.(uplinks.SetRouterClassifier); return is }
	del := func(s uplinks.Step) bool { _, is := s.(uplinks.DelRouterClassifier); return is }
	load := func(s uplinks.Step) bool { _, is := s.(uplinks.LoadChains); return is }
	step := func(to uplinks.Settings) uplinks.Plan {
		t.Helper()
		plan, _, err := uplinks.Preview(t.Context(), k, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := uplinks.Sync(t.Context(), k, to); err != nil {
			t.Fatal(err)
		}
		return plan
	}
	step(alone)
	p := step(shared)
	if s, l := position(p, set), position(p, load); len(s) != 1 || len(l) == 0 || s[0] < l[len(l)-1] || len(position(p, del)) > 0 {
		t.Errorf("a second uplink: the classifier is set at %v, the chains are loaded at %v:\n%s", s, l, p)
	}
	changed := classifierFacts()
	changed.RouterMACs["cable"] = []string{"02:00:00:00:0d:09"}
	k.SetFacts(changed)
	if p := step(shared); len(position(p, set)) != 1 || len(position(p, del)) > 0 {
		t.Errorf("another hardware address:\n%s", p)
	}
	p = step(alone)
	if d, l := position(p, del), position(p, load); len(d) != 1 || len(l) == 0 || d[0] > l[0] || len(position(p, set)) > 0 {
		t.Errorf("no second uplink: the classifier is removed at %v, the chains are loaded at %v:\n%s", d, l, p)
	}
}
