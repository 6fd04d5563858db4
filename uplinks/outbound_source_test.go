package uplinks_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// translatingSettings returns settings that translate in both families, without prefixes.
func translatingSettings() uplinks.Settings {
	s := outboundSettings()
	s.Outbound.Masquerade, s.Outbound.Prefixes = uplinks.MasqueradeBoth, nil
	return s
}

// withAddrs returns the facts with these addresses of eth0 in place of its IPv6 ones.
func withAddrs(f uplinks.Facts, addrs ...string) uplinks.Facts {
	f.Links = maps.Clone(f.Links)
	l := f.Links["eth0"]
	l.Addrs = slices.DeleteFunc(slices.Clone(l.Addrs), func(a uplinks.Addr) bool { return a.Prefix.Addr().Is6() })
	for _, text := range addrs {
		p := netip.MustParsePrefix(text)
		l.Addrs = append(l.Addrs, uplinks.Addr{Prefix: p, LinkLocal: p.Addr().IsLinkLocalUnicast()})
	}
	f.Links["eth0"] = l
	return f
}

// confined returns the facts of a host on which the sources by eth0 are confined.
func confined(f uplinks.Facts) uplinks.Facts {
	f.Originals = map[uplinks.Tunable]uplinks.Original{{Link: "eth0", Name: uplinks.UseOIFAddrsOnly}: {Value: "0", Applied: "1"}}
	return f
}

func TestSourcesAreConfinedWhereTheyAreTranslated(t *testing.T) {
	with := func(change func(s *uplinks.Settings)) uplinks.Settings {
		s := translatingSettings()
		change(&s)
		return s
	}
	unnumbered := withAddrs(uplinkstest.Facts(), "fe80::2/64")
	for name, c := range map[string]struct {
		settings uplinks.Settings
		facts    uplinks.Facts
		want     []string
	}{
		"both families":                     {translatingSettings(), uplinkstest.Facts(), []string{"eth0", "eth1"}},
		"IPv4 only":                         {with(func(s *uplinks.Settings) { s.Outbound.Masquerade = uplinks.MasqueradeIPv4 }), uplinkstest.Facts(), nil},
		"no policies":                       {with(func(s *uplinks.Settings) { s.Outbound = uplinks.Outbound{} }), uplinkstest.Facts(), nil},
		"a prefix of the second uplink":     {with(func(s *uplinks.Settings) { s.Outbound.Prefixes = outboundSettings().Outbound.Prefixes }), uplinkstest.Facts(), []string{"eth0"}},
		"no address of the first, ever":     {translatingSettings(), unnumbered, []string{"eth1"}},
		"no address of the first any more":  {translatingSettings(), confined(unnumbered), []string{"eth0", "eth1"}},
		"an uplink without IPv6":            {with(func(s *uplinks.Settings) { s.Uplinks[0].Gateway6 = uplinks.Gateway{} }), uplinkstest.Facts(), []string{"eth1"}},
		"a link of the second uplink alone": {translatingSettings(), uplinkstest.Facts().WithScopes([]uplinks.Scope{{Link: "eth1", Table: 8202}}), []string{"eth1"}},
	} {
		var got []string
		for tunable, value := range uplinks.Desired(c.settings, c.facts, nil).Tunables {
			if tunable.Name == uplinks.UseOIFAddrsOnly && value == "1" {
				got = append(got, tunable.Link)
			}
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: sources by %q are confined, want %q", name, got, c.want)
		}
	}
}

// An uplink whose sources are confined and that has no address cannot be used: the kernel would take a link-local one. One that never
// had an address is used as before.
func TestPolicyAvoidsAnUplinkThatLostItsAddress(t *testing.T) {
	s := translatingSettings()
	tier := func(f uplinks.Facts) int {
		return s.Choose(s.Outbound.Policies[1], f, nil, uplinks.IPv6).Tier
	}
	unnumbered := withAddrs(uplinkstest.Facts(), "fe80::2/64")
	if got := tier(unnumbered); got != 0 {
		t.Errorf("tier %d of an uplink that never had an address", got)
	}
	if got := tier(confined(unnumbered)); got != 1 {
		t.Errorf("tier %d while the address is lost", got)
	}
	if got := tier(confined(withAddrs(uplinkstest.Facts(), "2001:db8:d::2/64"))); got != 0 {
		t.Errorf("tier %d with another address", got)
	}
}

// Connections with an address that their uplink has no longer are ended once it has another one, and no others.
func TestConnectionsWithALostAddressAreEnded(t *testing.T) {
	s := translatingSettings()
	s.Uplinks[0].VIPs = []netip.Addr{netip.MustParseAddr("2001:db8:a::99")}
	old, vip, local := netip.MustParseAddr("2001:db8:a::2"), s.Uplinks[0].VIPs[0], netip.MustParseAddr("fe80::2")
	var tracker uplinks.OutboundTracker
	for i, step := range []struct {
		addrs []string
		ended []netip.Addr // with these addresses
		all   bool         // of the uplink, as it cannot be used
	}{
		{[]string{"2001:db8:a::2/64", "2001:db8:a::99/64"}, nil, false},
		{[]string{"2001:db8:a::2/64"}, nil, false}, // the other node has the virtual address now
		{[]string{"2001:db8:d::2/64"}, []netip.Addr{old}, false},
		{[]string{"2001:db8:d::2/64", "2001:db8:a::2/64"}, nil, false},
		{[]string{"2001:db8:d::2/64"}, []netip.Addr{old}, false},
		{[]string{"2001:db8:a::2/64"}, []netip.Addr{netip.MustParseAddr("2001:db8:d::2")}, false},
		{nil, nil, true},
		{[]string{"2001:db8:d::2/64"}, []netip.Addr{old, local}, false},
		{nil, nil, true},
		{[]string{"2001:db8:d::2/64"}, []netip.Addr{local}, false}, // the same again: what has begun meanwhile has a link-local source
	} {
		f := confined(withAddrs(uplinkstest.Facts(), append(step.addrs, "fe80::2/64")...))
		var ended []netip.Addr
		all := false
		for _, m := range tracker.Update(s, f, nil) {
			switch {
			case m.Family != uplinks.IPv6 || m.Path.Uplink != "fibre" || m.AtInit:
				t.Errorf("step %d: moved %+v", i, m)
			case !m.LostOnly:
				all = true
				if len(step.ended) == 0 && !m.HasLost(old) && i == 6 {
					t.Errorf("step %d: the address that is lost is not known", i)
				}
			default:
				for _, a := range step.ended {
					if m.HasLost(a) {
						ended = append(ended, a)
					}
				}
				if m.HasLost(vip) || slices.ContainsFunc(step.addrs, func(text string) bool { return m.HasLost(netip.MustParsePrefix(text).Addr()) }) {
					t.Errorf("step %d: %s ends connections with other addresses", i, m.Why)
				}
			}
		}
		if !slices.Equal(ended, step.ended) || all != step.all {
			t.Errorf("step %d: ended those with %s, all %t; want %s, %t", i, ended, all, step.ended, step.all)
		}
	}
}
