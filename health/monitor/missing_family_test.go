package monitor

import (
	"net/netip"
	"testing"

	"replypath/health"
	"replypath/uplinks"
)

// Both gateways are automatic, and the provider offers IPv4 only.
func TestFamilyThatWasNeverThereDoesNotCount(t *testing.T) {
	four := health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv4}, Link: "ppp0", Index: 3, Up: true, Carrier: true, OnLink: true, GatewayAuto: true,
		Source: netip.MustParseAddr("192.0.2.2")}
	six := health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv6}, Link: "ppp0", Index: 3, Up: true, Carrier: true, OnLink: true, GatewayAuto: true}
	s := health.Settings{Uplinks: []health.UplinkSettings{{Name: "lte", Quorum: 1}}}
	m := New(nil)
	expect := func(what string, want health.State) {
		t.Helper()
		if u := m.Status()[0]; u.State != want {
			t.Errorf("%s: %s, not %s", what, u.State, want)
		}
	}
	m.Configure(s, []health.Path{four, six})
	expect("IPv6 was never there", health.Up)
	there := six
	there.Source = netip.MustParseAddr("2001:db8:b::2")
	m.Configure(s, []health.Path{four, there})
	expect("IPv6 is there", health.Up)
	m.Configure(s, []health.Path{four, six})
	expect("IPv6 has gone", health.Absent)

	written := six
	written.GatewayAuto = false
	m = New(nil)
	m.Configure(s, []health.Path{four, written})
	expect("IPv6 is written in the configuration", health.Absent)
	four.Source = netip.Addr{}
	m = New(nil)
	m.Configure(s, []health.Path{four, six})
	expect("neither family is there", health.Absent)
}

func TestCarrierOnlyUplinkIsUpWithoutProbes(t *testing.T) {
	p := health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv4}, Link: "eth1", Index: 3, Up: true, Carrier: true,
		Source: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1")}
	for carrierOnly, want := range map[bool]health.State{true: health.Up, false: health.Down} {
		m := New(nil)
		m.Configure(health.Settings{Uplinks: []health.UplinkSettings{{Name: "lte", Quorum: 1, CarrierOnly: carrierOnly}}}, []health.Path{p})
		if got := m.Status()[0].State; got != want {
			t.Errorf("carrier only %t: %s before any probe was sent", carrierOnly, got)
		}
	}
}
