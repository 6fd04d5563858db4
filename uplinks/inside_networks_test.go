package uplinks_test

import (
	"maps"
	"slices"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"

	"github.com/google/go-cmp/cmp"
)

// insideRules returns the rules of the chain for connections that begin inside, of one family.
func insideRules(f uplinks.Facts, family uplinks.Family) (rules []string) {
	state := uplinks.Desired(uplinkstest.Settings(), f, nil)
	for _, r := range state.Chains[uplinks.ChainKey{Firewall: f.Firewalls[family], Name: marks.Inside}].Rules {
		rules = append(rules, r.String())
	}
	return rules
}

// withRoutes returns facts with routes in main on the link, without a gateway.
func withRoutes(link string, to ...string) uplinks.Facts {
	f := uplinkstest.Facts()
	f.Links = maps.Clone(f.Links)
	l := f.Links[link]
	l.Connected = slices.Clone(l.Connected)
	for _, p := range to {
		l.Connected = append(l.Connected, uplinks.Connected{Dst: prefix(p)})
	}
	f.Links[link] = l
	return f
}

func TestInsideNetworksArePartsOfUplinkNetworks(t *testing.T) {
	viaRouter := uplinkstest.Facts()
	viaRouter.GatewayRoutes = append(viaRouter.GatewayRoutes, uplinks.GatewayRoute{Dst: prefix("192.0.2.64/28"), Gateway: ip("198.18.0.9"), Link: "lan0"},
		uplinks.GatewayRoute{Dst: prefix("0.0.0.0/0"), Gateway: ip("198.18.0.9"), Link: "lan0"})
	vrf := withRoutes("lan0", "192.0.2.77/32")
	lan := vrf.Links["lan0"]
	lan.VRF = 77
	vrf.Links["lan0"] = lan
	const set = " -j CONNMARK --set-xmark 0x200/0x1f00"
	for name, c := range map[string]struct {
		facts       uplinks.Facts
		want, want6 []string
	}{
		"none": {facts: uplinkstest.Facts()},
		"addresses": {withRoutes("lan0", "192.0.2.77/32", "192.0.2.70/32", "192.0.2.77/32", "2001:db8:b::77/128"),
			[]string{"-i eth1 -m conntrack --ctrepldst 192.0.2.70" + set, "-i eth1 -m conntrack --ctrepldst 192.0.2.77" + set},
			[]string{"-i eth1 -m conntrack --ctrepldst 2001:db8:b::77" + set}},
		"behind a router":          {viaRouter, []string{"-i eth1 -m conntrack --ctrepldst 192.0.2.64/28" + set}, nil},
		"the whole network":        {facts: withRoutes("lan0", "192.0.2.0/24", "192.0.0.0/16")},
		"by an uplink":             {facts: withRoutes("eth0", "192.0.2.77/32")},
		"by a link in a VRF":       {facts: vrf},
		"of another network":       {facts: withRoutes("lan0", "203.0.113.7/32")},
		"a link-local destination": {facts: withRoutes("lan0", "fe80::77/128")},
	} {
		if diff := cmp.Diff(c.want, insideRules(c.facts, uplinks.IPv4)); diff != "" {
			t.Errorf("%s, IPv4: %s", name, diff)
		}
		if diff := cmp.Diff(c.want6, insideRules(c.facts, uplinks.IPv6)); diff != "" {
			t.Errorf("%s, IPv6: %s", name, diff)
		}
	}
}

func TestNeedsFullResyncOfANetworkInside(t *testing.T) {
	without, with, elsewhere := uplinkstest.Facts(), withRoutes("lan0", "192.0.2.77/32"), withRoutes("lan0", "203.0.113.7/32")
	for name, c := range map[string]struct {
		before, after uplinks.Facts
		want          bool
	}{
		"it appears":              {without, with, true},
		"it goes":                 {with, without, true},
		"it stays":                {with, with, false},
		"another network appears": {without, elsewhere, false},
	} {
		part := uplinks.Facts{Scopes: uplinkstest.Settings().ScopesOf("lan0"), Links: map[string]uplinks.Link{"lan0": c.after.Links["lan0"]}}
		for _, r := range c.after.GatewayRoutes {
			if r.Link == "lan0" {
				part.GatewayRoutes = append(part.GatewayRoutes, r)
			}
		}
		if got := c.before.NeedsFullResync(part); got != c.want {
			t.Errorf("%s: full resync %t, want %t", name, got, c.want)
		}
	}
}
