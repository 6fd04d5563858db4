package uplinks_test

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

var exchanged = [2]marks.ID{2, 1}

// wantOneStage fails the test if connections get other marks, or ids that nobody has are in between.
func wantOneStage(t *testing.T, name string, s uplinks.Settings, f uplinks.Facts, have uplinks.State) {
	t.Helper()
	_, want, between := uplinks.DesiredNext(s, f, nil, have)
	if plan := uplinks.Diff(want, have); between || movesMarks(plan) {
		t.Errorf("%s: between is %v\n%s", name, between, plan)
	}
}

func movesMarks(p uplinks.Plan) bool {
	return slices.ContainsFunc(p, func(s uplinks.Step) bool { _, is := s.(uplinks.MoveMark); return is })
}

// factsWithMAC returns the facts with a hardware address of a link, on which several uplinks can be.
func factsWithMAC(link string) uplinks.Facts {
	f := uplinkstest.Facts()
	l := f.Links[link]
	l.MAC = "02:00:00:00:00:01"
	f.Links[link] = l
	return f
}

// withDefaults returns the facts with these default routes of a link alone.
func withDefaults(f uplinks.Facts, link string, routers ...string) uplinks.Facts {
	f.Links = maps.Clone(f.Links)
	l := f.Links[link]
	l.Defaults = nil
	for _, r := range routers {
		a := netip.MustParseAddr(r)
		l.Defaults = append(l.Defaults, uplinks.NextHop{Family: uplinks.FamilyOf(a), Table: uplinks.MainTable, Gateway: a})
	}
	f.Links[link] = l
	return f
}

// Uplinks that lead to one router, the one always and the other while main has it as a default, exchange nothing when main changes.
func TestUplinksWithOneRouterExchangeNoIDs(t *testing.T) {
	s := uplinkstest.Settings()
	s.Uplinks[0].Gateway6, s.Uplinks[1].Gateway6 = uplinks.Gateway{}, uplinks.Gateway{}
	s.Uplinks[1].Link, s.Uplinks[1].Gateway4 = "eth0", uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.7")}
	third := s.Uplinks[1]
	third.Name, third.ID, third.Gateway4.Addr = "third", 3, netip.MustParseAddr("198.51.100.1")
	s.Uplinks = append(s.Uplinks, third)
	facts := factsWithMAC("eth0")
	routers := []string{"198.51.100.1", "198.51.100.7", "198.51.100.9"}
	for _, before := range routers {
		have := uplinks.Desired(s, withDefaults(facts, "eth0", before), nil)
		for _, after := range routers {
			wantOneStage(t, "from "+before+" to "+after, s, withDefaults(facts, "eth0", after), have)
		}
		alone := s
		alone.Uplinks = s.Uplinks[1:]
		wantOneStage(t, "without the uplink by "+before, alone, facts, have)
	}
}

// A default route of another program in the table of an uplink, whatever it leads to, is no exchange.
func TestForeignDefaultRouteIsNoExchange(t *testing.T) {
	s, facts := uplinkstest.Settings(), factsWithMAC("eth0")
	s.Uplinks[1].Link = "eth0"
	s.Uplinks[1].Gateway4.Addr, s.Uplinks[1].Gateway6.Addr = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:a::7")
	for _, family := range uplinks.Families {
		have := uplinks.Desired(s, facts, nil)
		for key, r := range have.Routes {
			if key.Family == family && key.Table == s.Table(s.Uplinks[1]) && r.Link != "" && key.Dst == family.DefaultPrefix() {
				r.Protocol = 3
				key.Table = s.Table(s.Uplinks[0])
				if family == uplinks.IPv4 {
					key.Metric = 0
				}
				have.Routes[key] = r
			}
		}
		wantOneStage(t, family.String(), s, facts, have)
		other := withIDs(s, [2]marks.ID{1, 9})
		moved := slices.DeleteFunc(uplinks.Diff(uplinks.Desired(other, facts, nil), have), func(s uplinks.Step) bool {
			m, is := s.(uplinks.MoveMark)
			return !is || m.Family != family
		})
		if len(moved) != 1 || moved[0].(uplinks.MoveMark).From != s.Mark(s.Uplinks[1]) {
			t.Errorf("%s: the other uplink gets another id by\n%s", family, moved)
		}
	}
}

// Links that exchange their names while their routers have one address exchange no ids: the settings name them as before.
func TestRenamedLinksExchangeNoIDs(t *testing.T) {
	s, facts := uplinkstest.Settings(), uplinkstest.Facts()
	for i := range s.Uplinks {
		s.Uplinks[i].Gateway4, s.Uplinks[i].Gateway6 = uplinks.Gateway{}, uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}
	}
	have := uplinks.Desired(s, facts, nil)
	for key, r := range have.Routes {
		if other := map[string]string{"eth0": "eth1", "eth1": "eth0"}[r.Link]; other != "" {
			r.Link = other
			have.Routes[key] = r
		}
	}
	wantOneStage(t, "renamed", s, facts, have)
}

// An uplink without a default route takes part in an exchange: the connections of the other one keep that.
func TestExchangeWithAnUplinkThatIsDown(t *testing.T) {
	from, facts := uplinkstest.Settings(), uplinkstest.Facts()
	for i, u := range from.Uplinks {
		f := facts
		f.Links = maps.Clone(f.Links)
		l := f.Links[u.Link]
		l.Up = false
		f.Links[u.Link] = l
		to := withIDs(from, exchanged)
		now, next, between := uplinks.DesiredNext(to, f, nil, uplinks.Desired(from, f, nil))
		if !between || now.Uplinks[0].ID < 3 || now.Uplinks[1].ID < 3 {
			t.Errorf("%s is down: the ids in between are of %v", u.Name, now.Uplinks)
		}
		up, moved := from.Uplinks[1-i], map[uplinks.Family]bool{}
		for _, step := range uplinks.Diff(next, uplinks.Desired(from, f, nil)) {
			if m, is := step.(uplinks.MoveMark); is && m.From == from.Mark(up) {
				moved[m.Family] = true
			}
		}
		if len(moved) != 2 {
			t.Errorf("%s is down: connections of %s get another mark in %v", u.Name, up.Name, moved)
		}
	}
}

// The ids in between are of no configured uplink, also without a link and routes, of no removed one, and of no found router.
func TestIDsInBetweenAreFree(t *testing.T) {
	from, facts := uplinkstest.Settings(), uplinkstest.Facts()
	absent := uplinks.Uplink{Name: "absent", ID: 3, Link: "eth7", WhenDown: uplinks.Release, Gateway4: uplinks.Gateway{Auto: true}}
	removed := absent
	removed.Name, removed.ID, removed.Link = "removed", 4, "eth8"
	from.Uplinks = append(from.Uplinks, absent, removed)
	to := withIDs(from, exchanged)
	to.Uplinks = to.Uplinks[:3]
	facts.FoundRouters = []uplinks.FoundRouter{{Uplink: "fibre", MAC: "02:00:00:00:00:09", ID: 5}}
	now, _, between := uplinks.DesiredNext(to, facts, nil, uplinks.Desired(from, facts, nil))
	var ids []marks.ID
	for _, u := range now.Uplinks {
		ids = append(ids, u.ID)
	}
	if !between || !slices.Equal(ids, []marks.ID{3, 6, 7}) {
		t.Errorf("between is %v, with the ids %v", between, ids)
	}
}

// While a path is left out, for whatever reason, ids are exchanged at once.
func TestExchangeBesideAPathThatIsLeftOut(t *testing.T) {
	from, facts := uplinkstest.Settings(), uplinkstest.Facts()
	have, to := uplinks.Desired(from, facts, nil), withIDs(from, exchanged)
	if _, _, between := uplinks.DesiredNext(to, facts, nil, have); !between {
		t.Fatal("ids are exchanged at once")
	}
	refused := facts.WithRefused(to, have, map[uplinks.PathKey]string{{Uplink: "lte", Family: uplinks.IPv6}: "refused"})
	if _, _, between := uplinks.DesiredNext(to, refused, nil, have); between {
		t.Error("there are ids in between beside a refused path")
	}
	to.Uplinks[1].Gateway4.Addr = netip.MustParseAddr("192.0.2.9") // in the network of the other link
	if _, _, between := uplinks.DesiredNext(to, facts, nil, have); between {
		t.Error("there are ids in between beside a path whose gateway is by another link")
	}
}

// Each family has its own steps, which say so, and delete its rules alone.
func TestMarksMoveByFamily(t *testing.T) {
	from, facts := uplinkstest.Settings(), uplinkstest.Facts()
	from.Uplinks[1].Gateway6 = uplinks.Gateway{}
	plan := uplinks.Diff(uplinks.Desired(withIDs(from, [2]marks.ID{9, 10}), facts, nil), uplinks.Desired(from, facts, nil))
	var texts []string
	for _, s := range plan {
		if m, is := s.(uplinks.MoveMark); is {
			texts = append(texts, strings.SplitN(m.String(), "\n", 2)[0])
			for _, r := range m.Rules {
				if r.Family != m.Family {
					t.Errorf("%s deletes %s", m.Family, r)
				}
			}
		}
	}
	want := []string{
		"# open IPv4 connections with the mark 0x100/0x1f00 get 0x900",
		"# open IPv4 connections with the mark 0x200/0x1f00 get 0xa00",
		"# open IPv6 connections with the mark 0x100/0x1f00 get 0x900",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("the steps are %q, want %q", texts, want)
	}
	to := withIDs(from, [2]marks.ID{9, 2})
	to.Uplinks[1].Gateway6 = uplinks.Gateway{}
	gone := uplinks.Rule{Family: uplinks.IPv6, Priority: 2001, IIF: "eth0", Mark: 0x100, Mask: marks.DefaultMask, Action: uplinks.Goto, Goto: 3000,
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	plan = uplinks.Diff(uplinks.Desired(to, facts, nil), uplinks.Desired(from, facts, nil))
	if !movesMarks(plan) || !slices.Contains(plan, uplinks.Step(uplinks.DelRule{Rule: gone})) {
		t.Errorf("a family that the uplink has no longer keeps %s:\n%s", gone, plan)
	}
}

// A classifier that the settings have before and after an exchange of other ids is there in between.
func TestClassifierStaysWhileOtherIDsAreExchanged(t *testing.T) {
	from, facts := uplinkstest.Settings(), factsWithMAC("lan0")
	for i, router := range []string{"198.18.0.7", "198.18.0.8"} {
		from.Uplinks = append(from.Uplinks, uplinks.Uplink{Name: router, ID: marks.ID(3 + i), Link: "lan0", WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr(router)}})
	}
	have := uplinks.Desired(from, facts, nil)
	_, next, between := uplinks.DesiredNext(withIDs(from, exchanged), facts, nil, have)
	if !between || len(have.RouterClassifiers) != 1 || len(next.RouterClassifiers) != 1 {
		t.Errorf("between is %v: %v becomes %v", between, have.RouterClassifiers, next.RouterClassifiers)
	}
	exchangedThere := from
	exchangedThere.Uplinks = slices.Clone(from.Uplinks)
	exchangedThere.Uplinks[2].ID, exchangedThere.Uplinks[3].ID = 4, 3
	slices.Reverse(exchangedThere.Uplinks[2:])
	if _, next, between := uplinks.DesiredNext(exchangedThere, facts, nil, have); !between || len(next.RouterClassifiers) != 0 {
		t.Errorf("between is %v, with a classifier that gives other marks: %v", between, next.RouterClassifiers)
	}
}
