package health_test

import (
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// pathCase is a change of the settings and facts of uplinkstest, and the path that follows from it.
type pathCase struct {
	change func(*uplinks.Settings, *uplinks.Facts)
	at     int
	want   func(*health.Path)
	n      int
}

func TestPathsFollowSettingsAndFacts(t *testing.T) {
	fibre := health.Path{Key: health.Key{Uplink: "fibre", Family: uplinks.IPv4}, ID: 1, Link: "eth0", Index: 2, Up: true, Carrier: true,
		Source: addr("198.51.100.2"), Gateway: addr("198.51.100.1"), GatewayAuto: true, Mark: 0x100, Mask: 0x1f00, Table: 8201}
	lte := health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv6}, ID: 2, Link: "eth1", Index: 3, Up: true, Carrier: true,
		Source: addr("2001:db8:b::2"), Gateway: addr("fe80::1"), Mark: 0x200, Mask: 0x1f00, Table: 8202}
	for name, c := range map[string]pathCase{
		"an automatic gateway": {at: 0, n: 4},
		"a configured gateway": {at: 3, n: 4},
		"a family that the kernel does not support": {n: 2,
			change: func(_ *uplinks.Settings, f *uplinks.Facts) { f.IPv6 = false }},
		"a family that is not managed": {at: 1, n: 3, want: func(p *health.Path) { *p = lte; p.Family = 0 },
			change: func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[0].Gateway6 = uplinks.Gateway{} }},
		"no link": {n: 4,
			change: func(_ *uplinks.Settings, f *uplinks.Facts) { delete(f.Links, "eth0") },
			want: func(p *health.Path) {
				*p = health.Path{Key: p.Key, ID: 1, Link: "eth0", GatewayAuto: true, Mark: 0x100, Mask: 0x1f00, Table: 8201}
			}},
		"a link that is down": {n: 4,
			change: func(_ *uplinks.Settings, f *uplinks.Facts) {
				l := f.Links["eth0"]
				l.Up, l.Carrier = false, false
				f.Links["eth0"] = l
			},
			want: func(p *health.Path) { p.Up, p.Carrier = false, false }},
		"no route with a gateway, no address": {n: 4,
			change: func(_ *uplinks.Settings, f *uplinks.Facts) {
				l := f.Links["eth0"]
				l.Defaults, l.Addrs = nil, nil
				f.Links["eth0"] = l
			},
			want: func(p *health.Path) { p.Source, p.Gateway = netip.Addr{}, netip.Addr{} }},
		"a point-to-point link": {n: 4,
			change: func(_ *uplinks.Settings, f *uplinks.Facts) {
				l := f.Links["eth0"]
				l.Defaults, l.PointToPoint = nil, true
				f.Links["eth0"] = l
			},
			want: func(p *health.Path) { p.Gateway, p.OnLink = netip.Addr{}, true }},
	} {
		t.Run(name, func(t *testing.T) {
			want := fibre
			if c.at == 3 {
				want = lte
			}
			c.check(t, want)
		})
	}
}

// check compares the path at the index at, which is want as far as the case does not change it.
func (c pathCase) check(t *testing.T, want health.Path) {
	t.Helper()
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	if c.change != nil {
		c.change(&s, &f)
	}
	if c.want != nil {
		c.want(&want)
	}
	got := health.Paths(s, f)
	if len(got) != c.n {
		t.Fatalf("%d paths, want %d: %+v", len(got), c.n, got)
	}
	if want.Family != 0 && got[c.at] != want {
		t.Errorf("got  %+v\nwant %+v", got[c.at], want)
	}
	if want.Family == 0 && got[c.at].Uplink != "lte" {
		t.Errorf("got %+v, want lte next", got[c.at])
	}
}
