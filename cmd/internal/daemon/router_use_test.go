package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/rtnl"
	"replypath/uplinks/uplinkstest"
)

// A router whose connections are live keeps its id: those of UDP and pings are, which have no handshake. They are
// counted anew before a router loses its id, and its connections go back to the first uplink of the link.
func TestRouterWithLiveConnectionsKeepsItsID(t *testing.T) {
	mask := marks.DefaultMask
	use := map[marks.Mark]rtnl.MarkUse{mask.Mark(31): {Connections: 1}}
	s, table := newTestSearch(1, use)
	now := time.Now()
	s.find(table, "02:00:00:00:00:01", now)
	s.finder.countUse(t.Context(), now)
	use[mask.Mark(31)] = rtnl.MarkUse{Connections: 1, Live: 1} // since the last count
	for i := range 30 {
		now = now.Add(10 * time.Second)
		s.find(table, fmt.Sprintf("02:00:00:00:01:%02x", i), now)
	}
	if len(table.all) != 1 || table.all[0].MAC != "02:00:00:00:00:01" || len(table.moved) > 0 {
		t.Fatalf("%v, moved %v", table.all, table.moved)
	}
	use[mask.Mark(31)] = rtnl.MarkUse{Connections: 7}
	s.find(table, "02:00:00:00:02:01", now.Add(10*time.Second))
	if len(table.all) != 1 || table.all[0].MAC != "02:00:00:00:02:01" || !slices.Equal(table.moved, [][2]marks.Mark{{mask.Mark(31), mask.Mark(2)}}) {
		t.Errorf("%v, moved %v", table.all, table.moved)
	}
}

// A flood of senders makes at most one round per evictionPause once all ids are in use.
func TestIDsChangeHandsSlowly(t *testing.T) {
	s, table := newTestSearch(2, map[marks.Mark]rtnl.MarkUse{})
	now := time.Now()
	taken := 0
	last := ""
	for i := range 1000 { // in 100 seconds
		now = now.Add(100 * time.Millisecond)
		s.find(table, fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&0xff), now)
		if state := fmt.Sprint(table.all); state != last {
			taken, last = taken+1, state
		}
	}
	if taken > 2+int(100*time.Second/evictionPause) || taken < 5 {
		t.Errorf("%d routers have been taken", taken)
	}
	if n := len(s.finder.since) + len(s.finder.use); n > 4 {
		t.Errorf("%d routers are remembered", n)
	}
}

// That there is no id is said once, with the number of ids and the first router without one.
func TestFullTableOfRoutersIsReportedOnce(t *testing.T) {
	mask := marks.DefaultMask
	s, table := newTestSearch(1, map[marks.Mark]rtnl.MarkUse{mask.Mark(31): {Connections: 1, Live: 1}})
	var text bytes.Buffer
	s.finder.log = slog.New(slog.NewTextHandler(&text, nil))
	s.finder.ids = []marks.ID{31}
	now := time.Now()
	for i := range 20 {
		s.find(table, fmt.Sprintf("02:00:00:00:01:%02x", i), now.Add(time.Duration(i)*time.Minute))
	}
	if strings.Count(text.String(), "all ids for routers are in use") != 1 || !strings.Contains(text.String(), "ids=1 ") || !strings.Contains(text.String(), "router=02:00:00:00:01:01") ||
		!strings.Contains(text.String(), "use a wider mask") {
		t.Errorf("the log:\n%s", text.String())
	}
}

// An id that connections have from before is given last.
func TestStaleIDsAreAvoided(t *testing.T) {
	mask := marks.DefaultMask
	use := map[marks.Mark]rtnl.MarkUse{mask.Mark(31): {Connections: 1}, mask.Mark(30): {Connections: 1}}
	s, table := newTestSearch(3, use)
	s.finder.ids = []marks.ID{31, 30, 29}
	s.finder.beginCounts()
	s.finder.countUse(t.Context(), time.Now())
	if got := slices.Sorted(maps.Keys(s.finder.staleIDs())); !slices.Equal(got, []marks.ID{30, 31}) {
		t.Fatalf("stale: %v", got)
	}
	s.find(table, "02:00:00:00:00:01", time.Now())
	if table.all[0].ID != 29 {
		t.Errorf("%v", table.all)
	}
	delete(use, mask.Mark(31))
	s.finder.countUse(t.Context(), time.Now())
	if got := slices.Collect(maps.Keys(s.finder.staleIDs())); !slices.Equal(got, []marks.ID{30}) {
		t.Errorf("later, stale: %v", got)
	}
}

// The connections of a found router that becomes a configured one, or is not found any more, go on by the uplink that has them now.
func TestConnectionsOfRetiredRoutersAreMoved(t *testing.T) {
	mask := marks.DefaultMask
	for name, c := range map[string]struct {
		change func(*uplinks.Settings, *uplinks.Facts)
		want   map[marks.Mark]marks.Mark
	}{
		"it stays": {func(_ *uplinks.Settings, f *uplinks.Facts) {}, nil},
		"configured": {func(s *uplinks.Settings, f *uplinks.Facts) {
			s.Uplinks[1].MACs, f.FoundRouters = []string{"02:00:00:00:0d:01"}, nil
		}, map[marks.Mark]marks.Mark{mask.Mark(31): mask.Mark(2)}},
		"switched off": {func(s *uplinks.Settings, f *uplinks.Facts) { s.Uplinks[1].AnyRouter, f.FoundRouters = false, nil }, map[marks.Mark]marks.Mark{mask.Mark(31): mask.Mark(2)}},
		"learnt for another uplink of the link": {func(s *uplinks.Settings, f *uplinks.Facts) {
			s.Uplinks[0].Link, f.FoundRouters = "eth1", nil
			f.RouterMACs = map[string][]string{s.Uplinks[0].Name: {"02:00:00:00:0d:01"}}
		}, map[marks.Mark]marks.Mark{mask.Mark(31): mask.Mark(1)}},
		"no such uplink": {func(s *uplinks.Settings, f *uplinks.Facts) { s.Uplinks, f.FoundRouters = s.Uplinks[:1], nil }, nil},
	} {
		s, table := newTestSearch(3, nil)
		settings, facts := uplinkstest.Settings(), uplinkstest.Facts()
		settings.Uplinks[1].AnyRouter = true
		facts.FoundRouters = []uplinks.FoundRouter{{Uplink: settings.Uplinks[1].Name, MAC: "02:00:00:00:0d:01", ID: 31}}
		s.finder.observe(settings, facts)
		c.change(&settings, &facts)
		s.finder.observe(settings, facts)
		s.finder.moveRetired()
		got := map[marks.Mark]marks.Mark{}
		for _, m := range table.moved {
			got[m[0]] = m[1]
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The service itself, and what is stacked on the link, is no router.
func TestOwnHardwareAddressesAreKnown(t *testing.T) {
	settings, facts := uplinkstest.Settings(), uplinkstest.Facts()
	settings.Uplinks[1].AnyRouter = true
	l := facts.Links["eth1"]
	l.MAC = "\x02\x00\x00\x00\x00\x01"
	facts.Links["eth1"] = l
	facts.Links["vrrp.1"] = uplinks.Link{Name: "vrrp.1", Index: 99, Lower: l.Index, MAC: "\x00\x00\x5e\x00\x01\x01"}
	known := findingLinks(settings, facts)["eth1"].known
	for _, mac := range []string{"02:00:00:00:00:01", "00:00:5e:00:01:01"} {
		if !slices.Contains(known, mac) {
			t.Errorf("%s is not among %v", mac, known)
		}
	}
}

// Routers that cannot be saved are reported once, and found nevertheless.
func TestUnsavedRoutersAreReportedOnce(t *testing.T) {
	s, table := newTestSearch(3, nil)
	var text bytes.Buffer
	s.finder.log = slog.New(slog.NewTextHandler(&text, nil))
	table.unsaved = errors.New("no space left on device")
	for range 3 {
		s.finder.observe(uplinkstest.Settings(), uplinkstest.Facts())
	}
	if strings.Count(text.String(), "cannot save the routers") != 1 {
		t.Errorf("the log:\n%s", text.String())
	}
}

// Under a flood the connections of candidates are looked up a bounded number of times.
func TestLookUpsOfFloodAreBounded(t *testing.T) {
	b := tokenBucket{burst: lookUpBurst, rate: lookUpRate}
	now, done := time.Now(), 0
	for range 100_000 { // in 10 seconds
		now = now.Add(100 * time.Microsecond)
		if b.take(now) {
			done++
		}
	}
	if most := lookUpBurst + 10*lookUpRate; done > most || done < most-2 {
		t.Errorf("%d look-ups in 10 seconds", done)
	}
}
