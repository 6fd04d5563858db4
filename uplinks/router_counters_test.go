package uplinks_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// Only the uplinks that share a link have counters by router, in a table that is made once, replaced when a gateway changes, and
// deleted when none share a link any more.
func TestRepliesOfSharedLinksAreCountedByRouter(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	sync := func(s uplinks.Settings) string {
		t.Helper()
		plan, err := uplinks.Sync(t.Context(), k, s)
		if err != nil {
			t.Fatal(err)
		}
		return plan.String()
	}
	s := sharedSettings()
	first := sync(s)
	for _, want := range []string{"add table inet replypath-routers; delete table inet replypath-routers; add table",
		`uplink3 meta nfproto ipv4 oifname "eth1" rt ip nexthop 192.0.2.3 counter name ip-seen3 return`,
		"elements = { 192.0.2.1, 192.0.2.3 }", "uplink2 meta nfproto ipv4 iifname != \"eth1\" counter name ip-stray2 return"} {
		if strings.Count(first, want) != 1 {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	if strings.Contains(first, "uplink1") {
		t.Error("an uplink that is alone on its link has counters by router")
	}
	if again := sync(s); again != "" {
		t.Errorf("in sync: %s", again)
	}
	s.Uplinks[2].Gateway4.Addr = netip.MustParseAddr("192.0.2.9")
	if changed := sync(s); !strings.Contains(changed, "elements = { 192.0.2.1, 192.0.2.9 }") {
		t.Errorf("another gateway: %s", changed)
	}
	s.Uplinks = s.Uplinks[:2]
	if alone := sync(s); strings.Count(alone, "nft '"+marks.NFTDeleteRouterCounters+"'") != 1 {
		t.Errorf("no link is shared: %s", alone)
	}
	s.Uplinks[1].AnyRouter = true
	if none := sync(s); strings.Contains(none, marks.RouterCountersName) {
		t.Errorf("no router is found: %s", none)
	}
	f := uplinkstest.Facts()
	f.FoundRouters = []uplinks.FoundRouter{{Uplink: "dsl", MAC: "02:00:00:00:ff:01", ID: 31}}
	k.SetFacts(f)
	if found := sync(s); !strings.Contains(found, "nexthop 240.0.82.0/24 counter name ip-stray2 return") {
		t.Errorf("routers are found: %s", found)
	}
	if flushed := sync(uplinks.Settings{}); !strings.Contains(flushed, marks.NFTDeleteRouterCounters) {
		t.Errorf("flush: %s", flushed)
	}
}

func TestCountersByRouterThatTheKernelRefusesAreNotWanted(t *testing.T) {
	f := uplinkstest.Facts()
	f.RouterCountersRefused = "no such file"
	if plan := uplinks.Diff(uplinks.Desired(sharedSettings(), f, nil), uplinks.NewState()).String(); strings.Contains(plan, marks.RouterCountersName) {
		t.Errorf("plan: %s", plan)
	}
}

// The requests of the routers of an uplink that names several are counted, of no other one's, and follow the hardware addresses.
func TestRequestsOfSeveralRoutersAreCounted(t *testing.T) {
	f := uplinkstest.Facts()
	f.RouterMACs = map[string][]string{"dsl": {"02:00:00:00:0a:01"}, "cable": {"02:00:00:00:0b:01", "02:00:00:00:0b:02"}}
	s := sharedSettings()
	table := func() string {
		c, _ := s.RouterCounters(f)
		return c.NFTCommand()
	}
	if s.Uplinks[2].Routers = nil; strings.Contains(table(), "prerouting") {
		t.Errorf("without routers: %s", table())
	}
	s.Uplinks[2].Routers = []netip.Addr{netip.MustParseAddr("192.0.2.12")}
	for _, mac := range f.RouterMACs["cable"] {
		if want := `iifname "eth1" ether saddr ` + mac + " counter name router3-" + strings.ReplaceAll(mac, ":", ""); strings.Count(table(), want) != 1 {
			t.Errorf("no %q in %s", want, table())
		}
	}
	if strings.Contains(table(), "router2-") {
		t.Errorf("the one router of an uplink is counted: %s", table())
	}
	k := uplinkstest.NewFake(f)
	sync := func() string {
		t.Helper()
		plan, err := uplinks.Sync(t.Context(), k, s)
		if err != nil {
			t.Fatal(err)
		}
		return plan.String()
	}
	sync()
	f.RouterMACs["cable"] = f.RouterMACs["cable"][:1]
	k.SetFacts(f)
	if plan := sync(); !strings.Contains(plan, "router3-020000000b01") || strings.Contains(plan, "router3-020000000b02") {
		t.Errorf("a router less: %s", plan)
	}
	if plan := sync(); plan != "" {
		t.Errorf("in sync: %s", plan)
	}
	s.Uplinks = s.Uplinks[2:]
	if _, wanted := s.RouterCounters(f); wanted {
		t.Error("an uplink that is alone on its link is counted")
	}
}
