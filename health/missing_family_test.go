package health

import (
	"net/netip"
	"testing"

	"replypath/uplinks"
)

// Both families are to be learnt, and the provider offers IPv4 only.
func TestFamilyThatWasNeverThereDoesNotCount(t *testing.T) {
	four := Path{Key: Key{"lte", uplinks.IPv4}, Link: "ppp0", Index: 3, Up: true, Carrier: true, OnLink: true, GatewayAuto: true,
		Source: netip.MustParseAddr("192.0.2.2")}
	six := Path{Key: Key{"lte", uplinks.IPv6}, Link: "ppp0", Index: 3, Up: true, Carrier: true, OnLink: true, GatewayAuto: true}
	s := Settings{Uplinks: []UplinkSettings{{Name: "lte", Quorum: 1}}}
	m := NewMonitor(nil)
	is := func(what string, want State) {
		t.Helper()
		if u := m.Status()[0]; u.State != want {
			t.Errorf("%s: %s, not %s", what, u.State, want)
		}
	}
	m.Configure(s, []Path{four, six})
	is("IPv6 was never there", Up)
	there := six
	there.Source = netip.MustParseAddr("2001:db8:b::2")
	m.Configure(s, []Path{four, there})
	is("IPv6 is there", Up)
	m.Configure(s, []Path{four, six})
	is("IPv6 has gone", Absent)

	written := six
	written.GatewayAuto = false
	m = NewMonitor(nil)
	m.Configure(s, []Path{four, written})
	is("IPv6 is written in the configuration", Absent)
	four.Source = netip.Addr{}
	m = NewMonitor(nil)
	m.Configure(s, []Path{four, six})
	is("neither family is there", Absent)
}

func TestCarrierOnlyUplinkIsUpWithoutProbes(t *testing.T) {
	p := Path{Key: Key{"lte", uplinks.IPv4}, Link: "eth1", Index: 3, Up: true, Carrier: true,
		Source: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1")}
	for alone, want := range map[bool]State{true: Up, false: Down} {
		m := NewMonitor(nil)
		m.Configure(Settings{Uplinks: []UplinkSettings{{Name: "lte", Quorum: 1, CarrierOnly: alone}}}, []Path{p})
		if is := m.Status()[0].State; is != want {
			t.Errorf("alone %t: %s before anybody was asked", alone, is)
		}
	}
}
