package uplinks_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// outboundSettings returns settings with a policy of each kind, a rule and a prefix.
func outboundSettings() uplinks.Settings {
	s := uplinkstest.Settings()
	s.Outbound = uplinks.Outbound{Default: "balanced", Masquerade: uplinks.MasqueradeIPv4,
		Policies: []uplinks.Policy{
			{Name: "balanced", Tiers: [][]uplinks.Member{{{Uplink: "fibre", Weight: 3}, {Uplink: "lte", Weight: 1}}}, LastResort: uplinks.LastMain, MoveFailed: true},
			{Name: "voice", Tiers: [][]uplinks.Member{{{Uplink: "fibre", Weight: 1}}, {{Uplink: "lte", Weight: 1}}}, StickyClient: true, LastResort: uplinks.LastUnreachable, MoveFailed: true, MoveBack: true},
		},
		Rules: []uplinks.Steering{
			{Name: "mail", From: []netip.Prefix{netip.MustParsePrefix("198.18.0.50/32")}, IPVersion: 4, Selectors: uplinks.Selectors{Proto: 6, Dport: uplinks.PortRange{First: 25, Last: 25}}, Use: "voice"},
			{Name: "never", IIF: "lan0", Mark: 1, Mask: 0xf, Use: "prohibit"},
		},
		Prefixes: []uplinks.UplinkPrefixes{{Uplink: "lte", Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:b:100::/56")}}},
	}
	return s
}

func TestOutboundPlanMatchesGoldenFiles(t *testing.T) {
	for _, c := range []struct {
		file     string
		from, to uplinks.Settings
	}{
		{"outbound-on.txt", uplinkstest.Settings(), outboundSettings()},
		{"outbound-off.txt", outboundSettings(), uplinkstest.Settings()},
	} {
		t.Run(c.file, func(t *testing.T) {
			k := compareGoldenPlan(t, c.file, c.from, c.to)
			if _, err := uplinks.Sync(t.Context(), k, c.to); err != nil {
				t.Fatal(err)
			}
			if _, err := uplinks.Sync(t.Context(), k, uplinks.Settings{}); err != nil {
				t.Fatal(err)
			}
			if _, have, _ := k.Observe(t.Context()); len(have.Rules)+len(have.Routes)+len(have.Chains)+len(have.Hooks) > 0 {
				t.Errorf("left after a flush:\n%s", uplinkstest.Dump(have))
			}
		})
	}
}

// hops returns the default route of a policy's table in IPv4 as ip-route(8) writes it.
func policyRoute(s uplinks.Settings, f uplinks.Facts, v uplinks.Verdicts, policy string) string {
	k := uplinks.RouteKey{Family: uplinks.IPv4, Table: s.PolicyTable(policy), Dst: uplinks.IPv4.DefaultPrefix()}
	r := uplinks.Desired(s, f, v).Routes[k]
	if _, hops, several := strings.Cut(uplinks.SetRoute{Key: k, Route: r}.String(), " nexthop "); several {
		return "nexthop " + hops
	}
	return r.Link
}

func TestPolicyUsesTheFirstTierWithAUsableUplink(t *testing.T) {
	s := outboundSettings()
	down := func(name string) uplinks.Verdicts {
		return uplinks.Verdicts{{Uplink: name, Family: uplinks.IPv4}: uplinks.VerdictDown}
	}
	noCarrier := uplinkstest.Facts()
	l := noCarrier.Links["eth0"]
	l.Carrier = false
	noCarrier.Links["eth0"] = l
	drained := uplinkstest.Facts()
	drained.Drained = map[string]bool{"fibre": true}
	held := func(v uplinks.Verdicts, name string) uplinks.Verdicts {
		v[uplinks.PathKey{Uplink: name, Family: uplinks.IPv4}] = uplinks.VerdictHeld
		return v
	}
	both := "nexthop via 198.51.100.1 dev eth0 weight 3 nexthop via 192.0.2.1 dev eth1 weight 1"
	for name, c := range map[string]struct {
		facts         uplinks.Facts
		verdicts      uplinks.Verdicts
		balance, tier string
	}{
		"all usable":               {uplinkstest.Facts(), nil, both, "eth0"},
		"down":                     {uplinkstest.Facts(), down("fibre"), "eth1", "eth1"},
		"standby down":             {uplinkstest.Facts(), down("lte"), "eth0", "eth0"},
		"no carrier":               {noCarrier, nil, "eth1", "eth1"},
		"drained":                  {drained, nil, "eth1", "eth1"},
		"none usable":              {noCarrier, down("lte"), "", ""},
		"held down":                {uplinkstest.Facts(), held(uplinks.Verdicts{}, "fibre"), "eth1", "eth1"},
		"held down, standby down":  {uplinkstest.Facts(), held(down("lte"), "fibre"), "eth0", "eth0"},
		"down, standby held down":  {uplinkstest.Facts(), held(down("fibre"), "lte"), "eth1", "eth1"},
		"held down, no carrier":    {noCarrier, held(held(uplinks.Verdicts{}, "fibre"), "lte"), "eth1", "eth1"},
		"both held down":           {uplinkstest.Facts(), held(held(uplinks.Verdicts{}, "fibre"), "lte"), both, "eth0"},
		"drained, standby is held": {drained, held(uplinks.Verdicts{}, "lte"), "eth1", "eth1"},
		"unproven":                 {uplinkstest.Facts(), uplinks.Verdicts{{Uplink: "fibre", Family: uplinks.IPv4}: uplinks.VerdictUnproven}, both, "eth0"},
	} {
		if got := policyRoute(s, c.facts, c.verdicts, "balanced"); got != c.balance {
			t.Errorf("%s: balanced goes by %q, want %q", name, got, c.balance)
		}
		if got := policyRoute(s, c.facts, c.verdicts, "voice"); got != c.tier {
			t.Errorf("%s: voice goes by %q, want %q", name, got, c.tier)
		}
	}
}

func TestPolicyAvoidsDegradedUplinksWhileThereIsAnother(t *testing.T) {
	s, f := outboundSettings(), uplinkstest.Facts()
	degraded := func(names ...string) uplinks.Verdicts {
		v := uplinks.Verdicts{}
		for _, name := range names {
			v[uplinks.PathKey{Uplink: name, Family: uplinks.IPv4}] = uplinks.VerdictDegraded
		}
		return v
	}
	both := "nexthop via 198.51.100.1 dev eth0 weight 3 nexthop via 192.0.2.1 dev eth1 weight 1"
	for _, c := range []struct {
		avoid         bool
		verdicts      uplinks.Verdicts
		balance, tier string
	}{
		{false, degraded("fibre"), both, "eth0"},
		{true, degraded("fibre"), "eth1", "eth1"},
		{true, degraded("lte"), "eth0", "eth0"},
		{true, degraded("fibre", "lte"), both, "eth0"},
	} {
		for i := range s.Outbound.Policies {
			s.Outbound.Policies[i].AvoidDegraded = c.avoid
		}
		if got := policyRoute(s, f, c.verdicts, "balanced"); got != c.balance {
			t.Errorf("avoid %v, %v: balanced goes by %q, want %q", c.avoid, c.verdicts, got, c.balance)
		}
		if got := policyRoute(s, f, c.verdicts, "voice"); got != c.tier {
			t.Errorf("avoid %v, %v: voice goes by %q, want %q", c.avoid, c.verdicts, got, c.tier)
		}
	}
	// The connections of a degraded uplink stay.
	var tracker uplinks.OutboundTracker
	tracker.Update(s, f, nil)
	if all := tracker.Update(s, f, degraded("fibre")); len(all) > 0 {
		t.Errorf("moved: %v", all)
	}
}

// moves returns the uplinks whose IPv4 connections are moved.
func moves(all []uplinks.Move) (names []string) {
	for _, m := range all {
		if m.Family == uplinks.IPv4 && !m.AtInit {
			names = append(names, m.Path.Uplink)
		}
	}
	return names
}

func TestConnectionsMoveOnlyWhenThereIsAnotherUplink(t *testing.T) {
	s, f := outboundSettings(), uplinkstest.Facts()
	up, down := uplinks.VerdictUp, uplinks.VerdictDown
	var tracker uplinks.OutboundTracker
	for i, step := range []struct {
		fibre, lte uplinks.Verdict
		want       string
	}{
		{up, up, ""},
		{down, up, "fibre"},
		{down, up, ""},
		{down, down, ""},  // no other uplink: nothing is ended
		{up, down, "lte"}, // those that were stuck
		{up, up, ""},      // lte is in use by balanced: nothing is moved back
		{up, down, "lte"},
		{down, down, ""},
		{down, up, "fibre"},
	} {
		v := uplinks.Verdicts{{Uplink: "fibre", Family: uplinks.IPv4}: step.fibre, {Uplink: "lte", Family: uplinks.IPv4}: step.lte}
		got := ""
		for _, name := range moves(tracker.Update(s, f, v)) {
			got += name
		}
		if got != step.want {
			t.Errorf("step %d: moved %q, want %q", i, got, step.want)
		}
	}
	s.Outbound.Default, s.Outbound.Policies, s.Outbound.Rules = "voice", s.Outbound.Policies[1:], nil
	tracker = uplinks.OutboundTracker{}
	for i, c := range []struct {
		fibre uplinks.Verdict
		want  string
	}{{up, ""}, {down, "fibre"}, {up, "lte"}} {
		v := uplinks.Verdicts{{Uplink: "fibre", Family: uplinks.IPv4}: c.fibre}
		all := tracker.Update(s, f, v)
		if got := moves(all); len(got) != len(c.want)/max(1, len(c.want)) || len(got) == 1 && got[0] != c.want {
			t.Errorf("failback, step %d: moved %v, want %q", i, got, c.want)
		}
		for _, m := range all {
			if m.Mask != 0x3f00 || m.Mark&0x2000 == 0 {
				t.Errorf("the move selects by %s/%s: also connections that began outside", m.Mark, m.Mask)
			}
		}
	}
}

// Connections of an uplink that flaps move once: while it is held down there are none, unless no other uplink is usable.
func TestConnectionsDoNotFollowFlaps(t *testing.T) {
	s, f := outboundSettings(), uplinkstest.Facts()
	s.Outbound.Default, s.Outbound.Policies, s.Outbound.Rules = "voice", s.Outbound.Policies[1:], nil
	up, down, held := uplinks.VerdictUp, uplinks.VerdictDown, uplinks.VerdictHeld
	var tracker uplinks.OutboundTracker
	for i, step := range []struct {
		fibre, lte uplinks.Verdict
		want       string
	}{
		{up, up, ""}, {down, up, "fibre"}, {held, up, ""}, {down, up, ""}, {held, up, ""}, {down, up, ""},
		{down, down, ""},    // what lte has is stuck
		{held, down, "lte"}, // and goes by fibre, which answers
		{down, down, ""},
		{held, down, ""}, // what fibre has goes on
		{held, up, ""},   // it answers: what it has stays
		{down, up, "fibre"},
		{held, up, ""}, {up, up, "lte"}, // home
	} {
		v := uplinks.Verdicts{{Uplink: "fibre", Family: uplinks.IPv4}: step.fibre, {Uplink: "lte", Family: uplinks.IPv4}: step.lte}
		got := ""
		for _, name := range moves(tracker.Update(s, f, v)) {
			got += name
		}
		if got != step.want {
			t.Errorf("step %d: moved %q, want %q", i, got, step.want)
		}
	}
}

// Senders of an uplink that fails are dealt to the others; nobody else moves.
func TestOtherSendersStayWhenAnUplinkFails(t *testing.T) {
	s, f := uplinkstest.ManyUplinks(3, nil)
	var members []uplinks.Member
	for _, u := range s.Uplinks {
		members = append(members, uplinks.Member{Uplink: u.Name, Weight: 1})
	}
	s.Outbound = uplinks.Outbound{Default: "p", Masquerade: uplinks.MasqueradeOff, Policies: []uplinks.Policy{{Name: "p", Tiers: [][]uplinks.Member{members}, StickyClient: true, LastResort: uplinks.LastMain}}}
	owners := func(v uplinks.Verdicts) map[marks.Mark]uplinks.Table {
		all := map[marks.Mark]uplinks.Table{}
		for r := range uplinks.Desired(s, f, v).Rules {
			if r.Family == uplinks.IPv4 && r.Mark >= 0x1000 && r.Action == uplinks.Lookup {
				all[r.Mark] = r.Table
			}
		}
		return all
	}
	before := owners(nil)
	after := owners(uplinks.Verdicts{{Uplink: s.Uplinks[1].Name, Family: uplinks.IPv4}: uplinks.VerdictDown})
	if len(before) != uplinks.SenderBuckets || len(after) != uplinks.SenderBuckets {
		t.Fatalf("%d and %d groups have an uplink", len(before), len(after))
	}
	for mark, table := range before {
		if lost := table == s.Table(s.Uplinks[1]); !lost && after[mark] != table || lost && after[mark] == table {
			t.Errorf("group %s: table %d, then %d", mark, table, after[mark])
		}
	}
}
