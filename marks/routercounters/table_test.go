package routercounters_test

import (
	"net/netip"
	"os"
	"testing"

	"replypath/marks"
	"replypath/marks/routercounters"
	"replypath/test/world"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

// The next hops of routers that were found.
var (
	found4 = netip.MustParsePrefix("240.0.82.0/24")
	found6 = netip.MustParsePrefix("fe80::5250:4c59:0:0/112")
)

// definition returns the table of two uplinks on one link, one of which has no IPv6, and of one whose gateway is not known yet.
func definition(mask marks.Mask, gateway string) marks.RouterCounters {
	return marks.NewRouterCounters(mask, []marks.CountedUplink{
		{ID: 3, Link: "eth1", Hop4: netip.MustParseAddr("192.0.2.3")},
		{ID: 2, Link: "eth1", Hop4: netip.MustParseAddr(gateway), Hop6: netip.MustParseAddr("fe80::1%eth1")},
		{ID: 200, Link: "wan-0.100"},
	}, found4, found6).WithRouters([]marks.CountedRouter{{ID: 3, Link: "eth1", MAC: "02:00:00:0a:03:01"}, {ID: 2, Link: "eth1", MAC: "02:00:00:0a:12:0f"}})
}

func TestTableIsReadAsItWasWritten(t *testing.T) {
	h := world.New(t).Host("gw")
	read := func(c marks.RouterCounters) (exists, matches bool) {
		t.Helper()
		var err error
		if h.Do(func() { exists, matches, err = routercounters.Read(c) }); err != nil {
			t.Fatal(err)
		}
		return exists, matches
	}
	want := func(what string, c marks.RouterCounters, exists, matches bool) {
		t.Helper()
		if e, m := read(c); e != exists || m != matches {
			t.Errorf("%s: exists %t, matches %t", what, e, m)
		}
	}
	call := func(f func() error) {
		t.Helper()
		var err error
		if h.Do(func() { err = f() }); err != nil {
			t.Fatal(err)
		}
	}
	c, other := definition(0xff00, "192.0.2.1"), definition(0xff00, "192.0.2.9")
	want("nothing", c, false, false)
	call(routercounters.Delete)
	call(func() error { return routercounters.Check(c) })
	want("after a check", c, false, false)
	call(func() error { return routercounters.Set(other) })
	want("another gateway", c, true, false)
	call(func() error { return routercounters.Set(c) })
	want("replaced", c, true, true)
	for _, damage := range []string{
		"flush chain inet replypath-routers uplink2",
		"add rule inet replypath-routers postrouting drop",
		"add chain inet replypath-routers more",
		"add element inet replypath-routers ip-hops { 192.0.2.77 }",
		"delete element inet replypath-routers ip6-hops { fe80::1 }",
		"flush chain inet replypath-routers prerouting",
		"add rule inet replypath-routers prerouting drop",
		"delete table inet replypath-routers",
	} {
		h.Run("nft", damage)
		if _, matches := read(c); matches {
			t.Errorf("%q does not show", damage)
		}
		call(func() error { return routercounters.Set(c) })
		want(damage, c, true, true)
	}
	// The commands make the same table, in place of the other one too.
	for range 2 {
		h.Run("nft", c.NFTCommand())
		want("by nft", c, true, true)
	}
	h.Run("nft", other.NFTCommand())
	want("another one by nft", c, true, false)
	h.Run("nft", marks.NFTDeleteRouterCounters)
	want("deleted by nft", c, false, false)
}

func TestDefinitionIsComparedByItsSortedLists(t *testing.T) {
	c := definition(0x1f00, "192.0.2.1")
	all := c.Uplinks.Values()
	if len(all) != 3 || all[0].ID != 2 || all[1].Hop6.IsValid() || all[2].Link != "wan-0.100" {
		t.Errorf("the uplinks are %v", all)
	}
	routers := c.Routers.Values()
	if len(routers) != 2 || routers[0].ID != 2 || routers[1].MAC != "02:00:00:0a:03:01" {
		t.Errorf("the routers are %v", routers)
	}
	if again := marks.NewRouterCounters(0x1f00, all, found4, found6).WithRouters(routers); again != c {
		t.Errorf("of its own lists it is %v, want %v", again, c)
	}
}

func TestRouterCountersAreRecognisedByName(t *testing.T) {
	r := marks.CountedRouter{ID: 200, MAC: "02:00:00:0a:03:01"}
	if id, mac, ok := marks.ParseRouterCounter(r.Counter()); !ok || id != r.ID || mac != r.MAC {
		t.Errorf("%q: %d, %s, %t", r.Counter(), id, mac, ok)
	}
	for _, other := range []string{"ip-seen3", "ip6-stray200", "router2", "router2-", "router2-02000000", "router300-0200000a0301", "router2-0200000A0301", "router02-0200000a0301", "router2-0200000a030g"} {
		if id, mac, ok := marks.ParseRouterCounter(other); ok {
			t.Errorf("%q: %d, %s", other, id, mac)
		}
	}
}
