package uplinks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// anyRouterSettings returns two uplinks, of which that by eth1 finds routers, and facts with one.
func anyRouterSettings() (uplinks.Settings, uplinks.Facts) {
	s, f := uplinkstest.Settings(), uplinkstest.Facts()
	s.Uplinks[1].AnyRouter = true
	f.FoundRouters = []uplinks.FoundRouter{{Uplink: "lte", MAC: "02:00:00:00:0d:01", ID: 31}}
	return s, f
}

func TestIDsOfFoundRoutersAreNoUplinks(t *testing.T) {
	s, _ := anyRouterSettings()
	s.Uplinks[0].ID = 30
	got := s.FoundRouterIDs()
	if len(got) != 29 || got[0] != 31 || got[1] != 29 || slices.Contains(got, 2) {
		t.Errorf("the ids are %v", got)
	}
	s.Mask = 0xff00
	if got := s.FoundRouterIDs(); len(got) != uplinks.MaxFoundRouters || got[0] != marks.MaxID {
		t.Errorf("%d ids from %d on", len(got), got[0])
	}
	s.Outbound.Default = "fibre"
	if got := s.FoundRouterIDs(); s.Outbound.Enabled() && got[0] >= s.FirstBucket() {
		t.Errorf("the id %d is that of a bucket", got[0])
	}
}

func TestFoundRoutersOfUplinkThatFindsNoneChangeNoPlan(t *testing.T) {
	s, f := anyRouterSettings()
	s.Uplinks[1].AnyRouter = false
	got := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String()
	f.FoundRouters = nil
	if want := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUplinkThatHasFoundNoRouterChangesNoPlan(t *testing.T) {
	s, f := anyRouterSettings()
	f.FoundRouters = nil
	got := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String()
	if want := uplinks.Diff(uplinks.Desired(uplinkstest.Settings(), f, nil), uplinks.NewState()).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The neighbour entry is there before the route that leads to it, and the mark comes last; all is deleted in reverse.
func TestFoundRouterIsAddedFromItsNeighbourEntryToItsMark(t *testing.T) {
	s, f := anyRouterSettings()
	with := uplinks.Desired(s, f, nil)
	f.FoundRouters = nil
	without := uplinks.Desired(s, f, nil)
	add, del := uplinks.Diff(with, without).String(), uplinks.Diff(without, with).String()
	inOrder(t, add, "ip neigh replace 240.0.82.31 lladdr 02:00:00:00:0d:01 dev eth1 nud permanent", "ip route replace default via 240.0.82.31 dev eth1 table 8231",
		"fwmark 0x1f00/0x1f00 lookup 8231", "--mac-source 02:00:00:00:0d:01")
	inOrder(t, add, "ip -6 neigh replace fe80::5250:4c59:0:1f lladdr", "ip -6 route replace default via fe80::5250:4c59:0:1f dev eth1 table 8231")
	inOrder(t, del, "ip rule del priority 2209", "ip neigh del 240.0.82.31 dev eth1", "ip route del default via 240.0.82.31")
}

// Many routers are compared in a tree where the firewall can, few ones are not.
func TestManyFoundRoutersAreComparedInTree(t *testing.T) {
	for n, many := range map[int]bool{marks.MaxLinear: false, marks.MaxLinear + 1: true} {
		for _, can := range []bool{true, false} {
			s, f := anyRouterSettings()
			f.FoundRouters, f.MACBits = nil, map[uplinks.Family]bool{uplinks.IPv4: can}
			for i := range n {
				f.FoundRouters = append(f.FoundRouters, uplinks.FoundRouter{Uplink: "lte", MAC: fmt.Sprintf("02:00:00:00:0d:%02x", i), ID: marks.ID(31 - i)})
			}
			plan := uplinks.Diff(uplinks.Desired(s, f, nil), uplinks.NewState()).String()
			if tree := strings.Contains(plan, "iptables -w -t mangle -A REPLYPATH-R2 -m bpf"); tree != (can && many) || strings.Contains(plan, "ip6tables -w -t mangle -A REPLYPATH-R2 -m bpf") {
				t.Errorf("%d routers, the match bpf: %t: a tree: %t", n, can, tree)
			}
		}
	}
}

// inOrder wants the texts one after the other.
func inOrder(t *testing.T, plan string, texts ...string) {
	t.Helper()
	rest := plan
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Errorf("there is no %q, or too early, in\n%s", text, plan)
			return
		}
		rest = after
	}
}

// A router that is known, or whose id is an uplink's, is none that was found.
func TestKnownRouterIsNotFound(t *testing.T) {
	for name, change := range map[string]func(*uplinks.Settings, *uplinks.Facts){
		"learnt": func(_ *uplinks.Settings, f *uplinks.Facts) {
			f.RouterMACs = map[string][]string{"lte": {"02:00:00:00:0d:01"}}
		},
		"configured": func(s *uplinks.Settings, _ *uplinks.Facts) { s.Uplinks[1].MACs = []string{"02:00:00:00:0d:01"} },
		"id":         func(_ *uplinks.Settings, f *uplinks.Facts) { f.FoundRouters[0].ID = 1 },
		"uplink":     func(_ *uplinks.Settings, f *uplinks.Facts) { f.FoundRouters[0].Uplink = "fibre" },
	} {
		s, f := anyRouterSettings()
		change(&s, &f)
		if got := s.WithFoundRouters(f).Uplinks; len(got) != 2 {
			t.Errorf("%s: %+v", name, got[2:])
		}
	}
	s, f := anyRouterSettings()
	if got := s.WithFoundRouters(f).Uplinks; len(got) != 3 || got[2].Name != "lte/02:00:00:00:0d:01" {
		t.Errorf("%+v", got)
	}
}

// A sync makes what the router needs, and takes it back.
func TestSyncFollowsFoundRouters(t *testing.T) {
	s, f := anyRouterSettings()
	k := uplinkstest.NewFake(f)
	for _, found := range [][]uplinks.FoundRouter{f.FoundRouters, nil} {
		f.FoundRouters = found
		k.SetFacts(f)
		if _, err := uplinks.Sync(t.Context(), k, s); err != nil {
			t.Fatal(err)
		}
		_, have, err := k.Observe(t.Context())
		if err != nil || len(have.Neighbours) != 2*len(found) || have.LeadsToFoundRouter() != (len(found) > 0) {
			t.Errorf("with %v: %v, %v", found, have.Neighbours, err)
		}
	}
}
