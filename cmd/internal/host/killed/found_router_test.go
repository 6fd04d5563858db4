package killed

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"
)

// foundRouter is the router that these hosts have found.
var foundRouter = uplinks.FoundRouter{Uplink: "eth1", MAC: "02:00:00:00:0d:01", ID: 31}

// foreignNeighbour is a neighbour entry of another program at an address that stands for a router with the id 7.
const foreignNeighbour = "240.0.82.7 dev eth1 lladdr 02:00:00:00:0e:01 PERMANENT"

// A process that is killed after any write for a found router, or for its end, leaves entries that the next one keeps, if routers are
// still found, or deletes, if not; flush deletes them too. None takes an entry of another program.
func TestKillAtAnyWriteOfFoundRoutersLeavesNoEntry(t *testing.T) {
	for _, test := range []struct {
		name    string
		backend marks.Backend
		before  bool // the router is in force before
		after   bool
	}{
		{"a router is found", marks.NFT, false, true},
		{"a router is found by nftables", marks.Nftables, false, true},
		{"routers are found no longer", marks.Legacy, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newConnectedHost(t, test.backend)
			s.w.Gateway.Run("ip", "neigh", "add", "240.0.82.7", "lladdr", "02:00:00:00:0e:01", "dev", "eth1", "nud", "permanent")
			s.initial = s.snapshot()
			next := []func(when string){
				func(when string) { s.sync(s.finding(true)); s.wantEntries(when+", and found again", true) },
				func(when string) { s.sync(s.finding(false)); s.wantEntries(when+", and switched off", false) },
				func(when string) { s.flush(when) },
			}
			writes := 0
			for killed := true; killed; writes++ {
				s.sync(s.finding(test.before))
				killed = s.killSaved(writes, test.after)
				next[writes%len(next)](fmt.Sprintf("killed after %d writes", writes))
			}
			s.flush("in the end")
			t.Logf("killed at each of %d writes", writes-1)
			if writes < 8 {
				t.Error("there were fewer than 8 writes")
			}
		})
	}
}

// finding returns settings that find routers or not, and saves the router that was found.
func (s *connectedHost) finding(any bool) uplinks.Settings {
	s.t.Helper()
	all := s.settings(2)
	all.Uplinks[1].AnyRouter = any
	if !any {
		return all
	}
	s.w.Gateway.Do(func() {
		d, err := statedir.Open(s.state)
		if err == nil {
			err = d.WriteJSON("found-routers", []uplinks.FoundRouter{foundRouter})
		}
		if err != nil {
			s.t.Fatal(err)
		}
	})
	return all
}

// killSaved kills a process that brings the settings into force.
func (s *connectedHost) killSaved(after int, any bool) bool {
	s.t.Helper()
	return s.kill(after, s.finding(any))
}

// wantEntries wants neighbour entries for the router in both families, or none, and that of the other program.
func (s *connectedHost) wantEntries(when string, wanted bool) {
	s.t.Helper()
	s.checkConnections(when)
	entries := s.w.Gateway.Run("ip", "neigh", "show", "nud", "permanent")
	if n := strings.Count(entries, foundRouter.MAC); n != map[bool]int{true: 2}[wanted] || !strings.Contains(entries, foreignNeighbour) {
		s.t.Fatalf("%s: the entries are\n%s", when, entries)
	}
}

// An address that another program uses stands for no router, and its entry stays.
func TestIDWhoseAddressIsTakenStandsForNoRouter(t *testing.T) {
	s := newConnectedHost(t, marks.NFT)
	s.w.Gateway.Run("ip", "neigh", "add", "240.0.82.31", "lladdr", "02:00:00:00:0e:01", "dev", "eth1", "nud", "permanent")
	s.initial = s.snapshot()
	s.sync(s.finding(true))
	if now := s.w.Gateway.Run("ip", "neigh", "show", "nud", "permanent"); strings.Contains(now, foundRouter.MAC) || !strings.Contains(now, "240.0.82.31 dev eth1 lladdr 02:00:00:00:0e:01") {
		t.Errorf("the entries are\n%s", now)
	}
	s.flush("at the end")
}

// A router that is found between two readings gets no id whose address another program has taken since.
func TestFoundRouterTakesNoAddressFromAnotherProgram(t *testing.T) {
	w := world.TwoISPs(t)
	settings := uplinks.DefaultSettings()
	settings.Backend = marks.NFT
	for _, u := range w.Uplinks {
		settings.Uplinks = append(settings.Uplinks, uplinks.Uplink{Name: u.Link.Name, ID: marks.ID(u.Index + 1), Link: u.Link.Name, WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: u.Router4}, AnyRouter: true})
	}
	w.Gateway.Do(func() {
		h, err := host.Open(t.Context(), host.Options{StateDir: t.TempDir(), Backend: settings.Backend, Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		facts, _, err := h.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		changed := h.RoutersChanged()
		for _, mac := range []string{"02:00:00:00:0d:01", "02:00:00:00:0d:02"} {
			if _, ok := h.AddFoundRouter("eth1", mac, nil); !ok {
				t.Fatal("there is no id")
			}
		}
		select {
		case <-changed:
		default:
			t.Error("no router is announced")
		}
		w.Gateway.Run("ip", "neigh", "add", "240.0.82.31", "lladdr", "02:00:00:00:0e:01", "dev", "eth1", "nud", "permanent")
		want := []uplinks.FoundRouter{{Uplink: "eth1", MAC: "02:00:00:00:0d:02", ID: 30}}
		if got, _ := h.LatestRouters(t.Context(), facts); !slices.Equal(got.FoundRouters, want) {
			t.Errorf("got %v, want %v", got.FoundRouters, want)
		}
	})
}
