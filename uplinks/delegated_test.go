package uplinks_test

import (
	"fmt"
	"net/netip"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// A delegated network belongs to the uplink by whose link it has a default route, or that has the nearest address.
func TestDelegatedNetworksBelongToTheNearestUplink(t *testing.T) {
	for name, c := range map[string]struct {
		auto      []string
		listed    string // of lte
		delegated []uplinks.Delegated
		inside    string
		want      string
	}{
		"nearest":            {auto: []string{"fibre", "lte"}, delegated: delegated("2001:db8:a:f00::/56", ""), want: "map[fibre:[2001:db8:a:f00::/56]] []"},
		"own route":          {auto: []string{"fibre", "lte"}, delegated: delegated("2001:db8:a:f00::/56", "eth1"), want: "map[lte:[2001:db8:a:f00::/56]] []"},
		"own route decides":  {auto: []string{"fibre", "lte"}, delegated: append(delegated("2001:db8:a:f00::/56", ""), delegated("2001:db8:a:f00::/56", "eth1")...), want: "map[lte:[2001:db8:a:f00::/56]] []"},
		"not asked":          {auto: []string{"lte"}, delegated: delegated("2001:db8:a:f00::/56", ""), want: "map[] []"},
		"as near to both":    {auto: []string{"fibre"}, delegated: delegated("2001:db8:f0::/48", ""), want: "map[] [2001:db8:f0::/48]"},
		"far, one is asked":  {auto: []string{"lte"}, delegated: delegated("2001:da8:f0::/48", ""), want: "map[lte:[2001:da8:f0::/48]] []"},
		"far, two are asked": {auto: []string{"fibre", "lte"}, delegated: delegated("2001:da8:f0::/48", ""), want: "map[] [2001:da8:f0::/48]"},
		"inside":             {auto: []string{"fibre", "lte"}, inside: "2001:db8:b:1::/64", want: "map[lte:[2001:db8:b:1::/64]] []"},
		"inside, far":        {auto: []string{"lte"}, inside: "2001:da8:f0::/64", want: "map[] [2001:da8:f0::/64]"},
		"inside, not global": {auto: []string{"lte"}, inside: "fd00::/64", want: "map[] []"},
		"part of delegated":  {auto: []string{"fibre", "lte"}, delegated: delegated("2001:db8:a:f00::/56", ""), inside: "2001:db8:a:f01::/64", want: "map[fibre:[2001:db8:a:f00::/56]] []"},
		"listed":             {auto: []string{"fibre"}, listed: "2001:db8:a:f00::/60", delegated: delegated("2001:db8:a:f00::/56", ""), want: "map[] []"},
		"none is asked":      {delegated: delegated("2001:db8:a:f00::/56", "eth0"), want: "map[] []"},
	} {
		s, f := outboundSettings(), uplinkstest.Facts()
		s.Outbound.Prefixes = nil
		for _, u := range c.auto {
			s.Outbound.Prefixes = append(s.Outbound.Prefixes, uplinks.UplinkPrefixes{Uplink: u, Auto: true})
		}
		if c.listed != "" {
			s.Outbound.Prefixes = append(s.Outbound.Prefixes, uplinks.UplinkPrefixes{Uplink: "lte", Prefixes: []netip.Prefix{netip.MustParsePrefix(c.listed)}})
		}
		f.Delegated = c.delegated
		l := f.Links["lan0"]
		l.Connected = nil
		if c.inside != "" {
			l.Connected = []uplinks.Connected{{Dst: netip.MustParsePrefix(c.inside)}}
		}
		f.Links["lan0"] = l
		found := s.AutoPrefixes(f)
		if got := fmt.Sprint(found.By, found.Unassigned); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// delegated returns a delegated network.
func delegated(network, link string) []uplinks.Delegated {
	return []uplinks.Delegated{{Prefix: netip.MustParsePrefix(network), Link: link}}
}
