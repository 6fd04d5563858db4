package uplinks_test

import (
	"maps"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// leftOutCases change a host where the gateways of the uplink lte are in the networks of the uplink fibre.
var leftOutCases = map[string]struct {
	change func(*uplinks.Settings, *uplinks.Facts, *uplinks.Link)
	want   int // paths that are left out
}{
	"gateways of another uplink's networks": {func(*uplinks.Settings, *uplinks.Facts, *uplinks.Link) {}, 2},
	"its networks hold them too": {func(_ *uplinks.Settings, _ *uplinks.Facts, l *uplinks.Link) {
		l.Connected = append(l.Connected, uplinks.Connected{Dst: prefix("198.51.100.0/24")}, uplinks.Connected{Dst: prefix("2001:db8:a::/64")})
	}, 0},
	"main has a route by them": {func(_ *uplinks.Settings, f *uplinks.Facts, l *uplinks.Link) {
		f.GatewayRoutes = append(f.GatewayRoutes, uplinks.GatewayRoute{Dst: prefix("0.0.0.0/0"), Gateway: ip("198.51.100.1"), Link: l.Name})
	}, 1},
	"its address is in no network": {func(_ *uplinks.Settings, _ *uplinks.Facts, l *uplinks.Link) {
		l.Addrs = []uplinks.Addr{address("192.0.2.2/32", nil), address("2001:db8:b::2/128", nil)}
	}, 0},
	"the link is down": {func(_ *uplinks.Settings, _ *uplinks.Facts, l *uplinks.Link) { l.Up = false }, 0},
	"learnt gateways": {func(s *uplinks.Settings, _ *uplinks.Facts, _ *uplinks.Link) {
		setGateways(s, uplinks.Gateway{Auto: true})
	}, 0},
	"link-local gateway": {func(s *uplinks.Settings, _ *uplinks.Facts, _ *uplinks.Link) {
		s.Uplinks[1].Gateway6.Addr = ip("fe80::1")
	}, 1},
	"another link of the host, which is no uplink": {func(s *uplinks.Settings, _ *uplinks.Facts, _ *uplinks.Link) {
		s.Uplinks[1].Gateway4.Addr, s.Uplinks[1].Gateway6.Addr = ip("198.18.0.9"), ip("2001:db8:c::9")
	}, 0},
	"a kernel without IPv6": {func(_ *uplinks.Settings, f *uplinks.Facts, _ *uplinks.Link) { f.IPv6 = false }, 1},
}

func setGateways(s *uplinks.Settings, g uplinks.Gateway) {
	s.Uplinks[1].Gateway4, s.Uplinks[1].Gateway6 = g, g
}

// wrongGateways returns settings where the second uplink has the gateways of the first.
func wrongGateways() uplinks.Settings {
	s := uplinkstest.Settings()
	s.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: ip("198.51.100.1")}
	s.Uplinks[1].Gateway6 = uplinks.Gateway{Addr: ip("2001:db8:a::1")}
	return s
}

func TestLeftOutGateways(t *testing.T) {
	for name, c := range leftOutCases {
		t.Run(name, func(t *testing.T) {
			s, f := wrongGateways(), uplinkstest.Facts()
			l := f.Links["eth1"]
			c.change(&s, &f, &l)
			f.Links["eth1"] = l
			left := f.LeftOut(s)
			if len(left) != c.want {
				t.Errorf("left out: %v, want %d", left, c.want)
			}
			for _, o := range left {
				if o.Path.Uplink != "lte" {
					t.Errorf("left out: %v", o)
				}
			}
		})
	}
}

// TestLeftOutUplinkHasNoObjects compares the desired state with that of the other uplink alone, in parts too.
func TestLeftOutUplinkHasNoObjects(t *testing.T) {
	s, f := wrongGateways(), uplinkstest.Facts()
	alone := s
	alone.Uplinks = s.Uplinks[:1]
	if got, want := uplinkstest.Dump(uplinks.Desired(s, f, nil)), uplinkstest.Dump(uplinks.Desired(alone, f, nil)); got != want {
		t.Errorf("desired:\n%s\nwant:\n%s", got, want)
	}
	if part := uplinks.Desired(s, f.WithScopes(s.ScopesOf("eth1")), nil); len(part.Routes) != 0 {
		t.Errorf("desired in the scope of the uplink:\n%s", uplinkstest.Dump(part))
	}
}

// TestPortOfAnotherLinkIsNotManaged enslaves the link of an uplink: its table has the last resort only, and its address no rule.
func TestPortOfAnotherLinkIsNotManaged(t *testing.T) {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	before := f
	f.Links = map[string]uplinks.Link{"eth0": f.Links["eth0"], "br1": {Name: "br1", Index: 77, Kind: "bridge"}}
	l := before.Links["eth1"]
	l.Master = 77
	f.Links["eth1"] = l
	want := uplinks.Desired(s, f, nil)
	for k, r := range want.Routes {
		if r.Link == "eth1" {
			t.Errorf("%s", uplinks.SetRoute{Key: k, Route: r})
		}
	}
	for r := range want.Rules {
		if r.From.IsValid() && r.From.Addr() == ip("192.0.2.2") {
			t.Errorf("rule %s", r)
		}
	}
	if f.MasterOf(l) != "br1" || f.MasterOf(f.Links["eth0"]) != "" {
		t.Errorf("masters %q and %q", f.MasterOf(l), f.MasterOf(f.Links["eth0"]))
	}
	if part := (uplinks.Facts{Scopes: s.ScopesOf("eth1"), Links: map[string]uplinks.Link{"eth1": l}}); !before.NeedsFullResync(part) {
		t.Error("the rules of a link that became a port would stay")
	}
}

// TestKeptRoutesLeadSomewhere leaves an uplink out whose table, in the kernel, has a route by its link, or nothing but the
// unreachable one that was written while its link had another name.
func TestKeptRoutesLeadSomewhere(t *testing.T) {
	before, s, f := uplinkstest.Settings(), wrongGateways(), uplinkstest.Facts()
	inForce := uplinks.Desired(before, f, nil)
	if kept := f.WithRefused(s, inForce, nil).Kept; len(kept) != 2 {
		t.Errorf("kept: %v", kept)
	}
	maps.DeleteFunc(inForce.Routes, func(_ uplinks.RouteKey, r uplinks.Route) bool { return r.Type == uplinks.Unicast && r.Link == "eth1" })
	if kept := f.WithRefused(s, inForce, nil).Kept; len(kept) != 0 {
		t.Errorf("kept: %v", kept)
	}
}
