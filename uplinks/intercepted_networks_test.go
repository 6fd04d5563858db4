package uplinks_test

import (
	"net/netip"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// Rules select what UDP proxies of uplinks send from networks in which the host has no address, and nothing else that it sends.
func TestAnswersOfUDPProxiesHaveARoute(t *testing.T) {
	for name, tt := range map[string]struct {
		links, protocols []string
		to               string
		id               uplinks.Priority // of the uplink whose table has the route; 0: there is no rule
	}{
		"one uplink":                {[]string{"eth1"}, []string{"udp"}, "203.0.113.0/28", 2},
		"the first of two":          {[]string{"eth1", "eth0"}, []string{"tcp", "udp"}, "203.0.113.0/28", 1},
		"IPv6":                      {[]string{"eth1"}, []string{"udp"}, "2001:db8:88::/64", 2},
		"TCP":                       {[]string{"eth1"}, []string{"tcp"}, "203.0.113.0/28", 0},
		"inside":                    {[]string{"lan0"}, []string{"udp"}, "203.0.113.0/28", 0},
		"the host has an address":   {[]string{"eth1"}, []string{"udp"}, "192.0.2.0/24", 0},
		"of another uplink":         {[]string{"eth1"}, []string{"udp"}, "198.51.100.0/24", 0},
		"half of all addresses":     {[]string{"eth1"}, []string{"udp"}, "128.0.0.0/1", 0},
		"all addresses, in IPv6":    {[]string{"eth1"}, []string{"udp"}, "::/0", 0},
		"an uplink without gateway": {[]string{"eth7"}, []string{"udp"}, "203.0.113.0/28", 0},
	} {
		s, network := uplinkstest.Settings(), netip.MustParsePrefix(tt.to)
		s.Interception = &uplinks.Interception{Bit: uplinks.DefaultInterceptBit, Intercepts: []uplinks.Intercept{
			{Name: "dns", Links: tt.links, Protocols: tt.protocols, To: uplinks.NetworkList{In: []netip.Prefix{network}}, Port: 50053}}}
		found := map[uplinks.Priority]bool{}
		for r := range uplinks.Desired(s, uplinkstest.Facts(), nil).Rules {
			if r.From == network {
				found[r.Priority] = true
			}
		}
		switch {
		case tt.id == 0 && len(found) > 0, tt.id != 0 && (len(found) != 2 || !found[3000+tt.id] || !found[3400+tt.id]):
			t.Errorf("%s: rules at %v", name, found)
		}
	}
}
