package uplinks_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// sharedSettings returns two uplinks on eth1 beside the one on eth0.
func sharedSettings() uplinks.Settings {
	s := uplinks.DefaultSettings()
	address := func(text string) uplinks.Gateway { return uplinks.Gateway{Addr: netip.MustParseAddr(text)} }
	s.Uplinks = []uplinks.Uplink{
		{Name: "fibre", ID: 1, Link: "eth0", Gateway4: address("198.51.100.1"), WhenDown: uplinks.Hold},
		{Name: "dsl", ID: 2, Link: "eth1", Gateway4: address("192.0.2.1"), WhenDown: uplinks.Hold},
		{Name: "cable", ID: 3, Link: "eth1", Gateway4: address("192.0.2.3"), WhenDown: uplinks.Hold, Routers: []netip.Addr{netip.MustParseAddr("192.0.2.12")}, MACs: []string{"02:00:00:00:0c:01"}},
	}
	return s
}

func TestSharedRoutersAreGatewaysAndNamedRouters(t *testing.T) {
	got := sharedSettings().SharedRouters(uplinkstest.Facts())
	want := []uplinks.RouterAddrs{
		{Uplink: "dsl", Link: "eth1", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		{Uplink: "cable", Link: "eth1", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.12")}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNamedHardwareAddressIsOfItsUplinkAlone(t *testing.T) {
	f := uplinkstest.Facts()
	f.RouterMACs = map[string][]string{"dsl": {"02:00:00:00:0b:01", "02:00:00:00:0c:01"}, "cable": {"02:00:00:00:0c:01", "02:00:00:00:0a:01"}}
	want := map[string][]string{"dsl": {"02:00:00:00:0b:01"}, "cable": {"02:00:00:00:0a:01", "02:00:00:00:0c:01"}}
	if got := sharedSettings().RoutersOf(f); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The routers of an uplink that is alone on its link change nothing of the plan.
func TestRoutersOfUplinkAloneOnItsLinkChangeNoPlan(t *testing.T) {
	f := uplinkstest.Facts()
	s := sharedSettings()
	s.Uplinks = s.Uplinks[:2]
	plain := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String()
	s.Uplinks[1].Routers, s.Uplinks[1].MACs = []netip.Addr{netip.MustParseAddr("192.0.2.12")}, []string{"02:00:00:00:0c:01"}
	f.RouterMACs = map[string][]string{"dsl": {"02:00:00:00:0b:01"}}
	if got := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String(); got != plain {
		t.Errorf("got %s, want %s", got, plain)
	}
}

func TestUplinksOnLinkWithoutHardwareAddressesAreLeftOut(t *testing.T) {
	f := uplinkstest.Facts()
	l := f.Links["eth1"]
	l.MAC = ""
	f.Links["eth1"] = l
	left := f.LeftOut(sharedSettings())
	if len(left) != 1 || left[0].Path.Uplink != "cable" || !strings.Contains(left[0].Reason, "no hardware addresses") {
		t.Errorf("left out: %v", left)
	}
	for key, chain := range uplinks.Desired(sharedSettings(), f, nil).Chains {
		if slices.ContainsFunc(chain.Rules, func(r marks.Rule) bool { return r.MAC != "" }) {
			t.Errorf("%v compares hardware addresses", key)
		}
	}
}
