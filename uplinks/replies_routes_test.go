package uplinks_test

import (
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// defaultRoutes prints the default routes of the uplink's table in one family, as a plan writes them.
func defaultRoutes(u uplinks.Uplink, l uplinks.Link, family uplinks.Family) (lines []string) {
	s := uplinks.DefaultSettings()
	u.ID, u.Name, u.Link = 1, "up", "eth0"
	s.Uplinks = []uplinks.Uplink{u}
	f := uplinks.Facts{IPv6: true, Links: map[string]uplinks.Link{}}
	if l.Name != "" {
		f.Links[l.Name] = l
	}
	for _, step := range uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()) {
		if set, ok := step.(uplinks.SetRoute); ok && set.Key.Family == family && set.Key.Dst == family.DefaultPrefix() {
			lines = append(lines, set.String())
		}
	}
	return lines
}

const (
	unreachable4 = "ip route replace unreachable default table 8201 metric 4294967295 protocol 82"
	unreachable6 = "ip -6 route replace unreachable default table 8201 metric 4294967295 protocol 82"
)

var (
	autoGateway    = uplinks.Gateway{Auto: true}
	staticGateway4 = uplinks.Gateway{Addr: ip("192.0.2.1")}
)

const default4 = "ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.2 table 8201 protocol 82"

func pointToPoint(l *uplinks.Link) {
	l.PointToPoint = true
	l.Addrs, l.Connected = []uplinks.Addr{{Prefix: prefix("192.0.2.2/32")}}, nil
}

// changedHop returns a default route in main with a change.
func changedHop(gateway string, change func(*uplinks.NextHop)) uplinks.NextHop {
	h := uplinkstest.Hop(gateway, 0)
	change(&h)
	return h
}

// metricsHop is a default route in main with metrics of each kind, and withMetrics4 the step that writes them.
var metricsHop = changedHop("192.0.2.1", func(h *uplinks.NextHop) {
	h.Metrics = marks.NewList([]uplinks.Metric{{Name: "mtu", Value: 1400}, {Name: "advmss", Locked: true, Value: 1360}, {Name: "rtt", Value: 80}, {Name: "initcwnd", Value: 20},
		{Name: "features", Value: 1}, {Name: "rto_min", Locked: true, Value: 40}, {Name: "quickack", Value: 1}, {Name: "congctl", Text: "reno"}}...)
})

const withMetrics4 = "ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.2 table 8201 mtu 1400 advmss lock 1360 rtt 80 initcwnd 20 features ecn rto_min 40 quickack 1 congctl reno protocol 82"

var defaultRouteCases = map[string]struct {
	gateway uplinks.Gateway
	link    uplinks.Link
	family  uplinks.Family
	release bool
	want    []string
}{
	"a configured gateway": {gateway: staticGateway4, link: uplinkstest.Link(nil), want: []string{default4, unreachable4}},
	"a gateway outside the link's networks is on the link": {gateway: uplinks.Gateway{Addr: ip("203.0.113.1")}, link: uplinkstest.Link(nil),
		want: []string{"ip route replace default via 203.0.113.1 dev eth0 table 8201 onlink protocol 82", unreachable4}},
	"a link-local gateway is never outside": {gateway: uplinks.Gateway{Addr: ip("fe80::1")}, link: uplinkstest.Link(nil), family: uplinks.IPv6,
		want: []string{"ip -6 route replace default via fe80::1 dev eth0 table 8201 metric 1024 protocol 82", unreachable6}},
	"the gateway of a default route":      {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 100))), want: []string{default4, unreachable4}},
	"the first of several default routes": {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(uplinkstest.Hop("192.0.2.1", 50), uplinkstest.Hop("192.0.2.9", 100))), want: []string{default4, unreachable4}},
	"only default routes of the family":   {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(uplinkstest.Hop("fe80::1", 1), uplinkstest.Hop("192.0.2.1", 100))), want: []string{default4, unreachable4}},
	"the onlink flag of a default route":  {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(changedHop("192.0.2.1", func(h *uplinks.NextHop) { h.OnLink = true }))), want: []string{"ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.2 table 8201 onlink protocol 82", unreachable4}},
	"the metrics of a default route":      {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(metricsHop)), want: []string{withMetrics4, unreachable4}},
	"the metrics of the default route by the configured gateway": {gateway: staticGateway4, link: uplinkstest.Link(uplinkstest.Defaults(uplinkstest.Hop("192.0.2.9", 0), metricsHop)),
		want: []string{withMetrics4, unreachable4}},
	"not the metrics of a default route by another gateway": {gateway: uplinks.Gateway{Addr: ip("192.0.2.9")}, link: uplinkstest.Link(uplinkstest.Defaults(metricsHop)),
		want: []string{"ip route replace default via 192.0.2.9 dev eth0 src 192.0.2.2 table 8201 protocol 82", unreachable4}},
	"the source of a default route": {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(changedHop("192.0.2.1", func(h *uplinks.NextHop) { h.Src = ip("192.0.2.77") }))),
		want: []string{"ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.77 table 8201 protocol 82", unreachable4}},
	"the source of the default route by the configured gateway": {gateway: staticGateway4,
		link: uplinkstest.Link(uplinkstest.Defaults(changedHop("192.0.2.1", func(h *uplinks.NextHop) { h.Src = ip("192.0.2.77") }))),
		want: []string{"ip route replace default via 192.0.2.1 dev eth0 src 192.0.2.77 table 8201 protocol 82", unreachable4}},
	"the metrics of a point-to-point link with a configured gateway": {gateway: staticGateway4, link: uplinkstest.Link(func(l *uplinks.Link) {
		pointToPoint(l)
		l.Defaults = []uplinks.NextHop{{Family: uplinks.IPv4, Table: uplinks.MainTable, Metrics: marks.NewList(uplinks.Metric{Name: "mtu", Value: 1492})}}
	}), want: []string{"ip route replace default via 192.0.2.1 dev eth0 table 8201 mtu 1492 onlink protocol 82", unreachable4}},
	"an IPv6 gateway of an IPv4 route": {gateway: autoGateway, link: uplinkstest.Link(uplinkstest.Defaults(changedHop("fe80::1", func(h *uplinks.NextHop) { h.Family = uplinks.IPv4 }))),
		want: []string{"ip route replace default via inet6 fe80::1 dev eth0 table 8201 protocol 82", unreachable4}},
	"a point-to-point link needs none": {gateway: autoGateway, link: uplinkstest.Link(pointToPoint),
		want: []string{"ip route replace default dev eth0 scope link src 192.0.2.2 table 8201 protocol 82", unreachable4}},
	"a point-to-point link without an address has no route": {gateway: autoGateway, link: uplinkstest.Link(func(l *uplinks.Link) { pointToPoint(l); l.Addrs = nil }), want: []string{unreachable4}},
	"no default route to take the gateway from":             {gateway: autoGateway, link: uplinkstest.Link(nil), want: []string{unreachable4}},
	"no default route to take the gateway from, released":   {gateway: autoGateway, link: uplinkstest.Link(nil), release: true},
	"a link that is down":                                   {gateway: staticGateway4, link: uplinkstest.Link(func(l *uplinks.Link) { l.Up, l.Carrier = false, false }), want: []string{unreachable4}},
	"a link that is down, released":                         {gateway: staticGateway4, link: uplinkstest.Link(func(l *uplinks.Link) { l.Up = false }), release: true},
	"no carrier, hold":                                      {gateway: staticGateway4, link: uplinkstest.Link(func(l *uplinks.Link) { l.Carrier = false }), want: []string{default4, unreachable4}},
	"no carrier, release":                                   {gateway: staticGateway4, link: uplinkstest.Link(func(l *uplinks.Link) { l.Carrier = false }), release: true},
	"release, with a route":                                 {gateway: staticGateway4, link: uplinkstest.Link(nil), release: true, want: []string{default4}},
	"a link in a VRF":                                       {gateway: staticGateway4, link: uplinkstest.Link(func(l *uplinks.Link) { l.VRF = 77 }), want: []string{unreachable4}},
	"no link":                                               {gateway: staticGateway4, want: []string{unreachable4}},
	"a family that is not managed":                          {link: uplinkstest.Link(nil)},
}

func TestDefaultRoutesOfUplinkTable(t *testing.T) {
	for name, c := range defaultRouteCases {
		t.Run(name, func(t *testing.T) {
			if c.family == 0 {
				c.family = uplinks.IPv4
			}
			u := uplinks.Uplink{Gateway4: c.gateway, WhenDown: uplinks.Hold}
			if c.family == uplinks.IPv6 {
				u.Gateway4, u.Gateway6 = uplinks.Gateway{}, c.gateway
			}
			if c.release {
				u.WhenDown = uplinks.Release
			}
			got := defaultRoutes(u, c.link, c.family)
			if len(got) != len(c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("got  %s\nwant %s", got[i], c.want[i])
				}
			}
		})
	}
}
