package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// asked is a kernel that notes what of it is looked at.
type asked struct {
	*uplinkstest.Fake
	only [][]uplinks.Share
	fail error // of the next look
}

func (a *asked) Observe(ctx context.Context, only ...uplinks.Share) (uplinks.Facts, uplinks.State, error) {
	a.only = append(a.only, only)
	if err := a.fail; err != nil {
		a.fail = nil
		return uplinks.Facts{}, uplinks.State{}, err
	}
	return a.Fake.Observe(ctx, only...)
}

// whole reports whether the last look was at the whole host.
func whole(looks [][]uplinks.Share) bool { return len(looks) > 0 && looks[len(looks)-1] == nil }

func TestAChangeIsLookedAtWhereItIs(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &asked{Fake: uplinkstest.NewFake(facts)}
	k := NewKeeper(kernel, slog.New(slog.DiscardHandler), uplinkstest.Settings())
	round := func(at ...uplinks.Place) [][]uplinks.Share {
		kernel.only = nil
		k.Round(t.Context(), "test", at...)
		return kernel.only
	}
	eth0 := uplinkstest.Settings().Shares("eth0")
	place := uplinks.Place{Link: facts.Links["eth0"].Index}
	for range 2 {
		if !whole(round(place)) {
			t.Error("before all was seen to be in order, or after a repair, the whole host is looked at")
		}
	}
	if looks := round(place); len(looks) != 1 || !slices.Equal(looks[0], eth0) {
		t.Errorf("looked at %v", looks)
	}
	table := uplinks.Share{Table: eth0[0].Table}
	if looks := round(uplinks.Place{Table: table.Table}); len(looks) != 1 || !slices.Equal(looks[0], []uplinks.Share{table}) {
		t.Errorf("a change of its table: looked at %v", looks)
	}
	if looks := round(uplinks.Place{Table: table.Table}, place); len(looks) != 1 || !slices.Equal(looks[0], eth0) {
		t.Errorf("a change of its table and its link: looked at %v", looks)
	}
	if !whole(round()) || !whole(round(place, uplinks.Place{Link: 4711})) {
		t.Error("a place that nobody knows is not looked for in the whole host")
	}
	l := facts.Links["eth0"]
	l.Up, l.Carrier = false, false
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if looks := round(place); len(looks) != 1 || k.Report().InSync || k.facts.Links["eth0"].Up {
		t.Errorf("a link that is down: looked at %v, %+v", looks, k.Report())
	}
	if looks := round(uplinks.Place{Link: facts.Links["eth1"].Index}); len(looks) != 1 || !slices.Contains(looks[0], table) || !k.Report().InSync {
		t.Errorf("what was repaired is not looked at again: %v, %+v", looks, k.Report())
	}
	l.Addrs = nil
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if looks := round(place); len(looks) != 2 || !whole(looks) {
		t.Errorf("rules go by addresses, but only %v was looked at when one went", looks)
	}
}

// Where only a part of the host is looked at, a rival is told from a link that comes and goes all the same.
func TestARivalIsKnownWhereItIsAtWork(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &asked{Fake: uplinkstest.NewFake(facts)}
	k := NewKeeper(kernel, slog.New(slog.DiscardHandler), uplinkstest.Settings())
	eth0 := uplinkstest.Settings().Shares("eth0")[0]
	place := uplinks.Place{Link: facts.Links["eth0"].Index}
	round := func(at uplinks.Place) Report {
		k.Round(t.Context(), "test", at)
		return k.Report()
	}
	for range 3 {
		round(place)
	}
	kernel.only = nil
	carrier := func(up bool) {
		l := facts.Links["eth0"]
		l.Up, l.Carrier = up, up
		if facts.Links["eth0"] = l; !up {
			l.Defaults = nil
		}
		kernel.SetFacts(facts.With(uplinks.Facts{Only: []uplinks.Share{eth0}, Links: map[string]uplinks.Link{"eth0": l}}))
	}
	for range 2 * tolerated {
		for _, up := range []bool{false, true} {
			carrier(up)
			round(place)
			if r := round(place); r.Waiting != 0 || !r.InSync {
				t.Fatalf("a link comes and goes: %+v", r)
			}
		}
	}
	for n := range tolerated + 1 {
		_, have, err := kernel.Fake.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for key, route := range have.Routes {
			if key.Table == eth0.Table {
				kernel.By(t, uplinks.DelRoute{Key: key, Route: route})
			}
		}
		r := round(uplinks.Place{Table: eth0.Table})
		if waits := r.Waiting > 0; waits != (n >= tolerated) {
			t.Fatalf("somebody took the routes %d times: %+v", n+1, r)
		}
	}
	if slices.ContainsFunc(kernel.only, func(only []uplinks.Share) bool { return only == nil }) {
		t.Errorf("the whole host was looked at: %v", kernel.only)
	}
}

// A host on which something happens all the time is looked at as a whole as often as one that is silent.
func TestEventsDoNotPutOffTheLookAtTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		facts := uplinkstest.Facts()
		kernel := &asked{Fake: uplinkstest.NewFake(facts)}
		k := NewKeeper(kernel, slog.New(slog.DiscardHandler), uplinkstest.Settings())
		for range 2 {
			k.Round(t.Context(), "test")
		}
		began, eth0 := time.Now(), uplinks.Place{Link: facts.Links["eth0"].Index}
		for next := time.Duration(0); time.Since(began) < refresh; {
			if next = k.Round(t.Context(), "test", eth0); whole(kernel.only) || next > refresh-time.Since(began) {
				t.Fatalf("%s after the last look at the whole: looked at %v, the next is in %s", time.Since(began), kernel.only, next)
			}
			time.Sleep(min(7*time.Second, next))
		}
		if k.Round(t.Context(), "test", eth0); !whole(kernel.only) {
			t.Errorf("%s after the last look at the whole: looked at %v", time.Since(began), kernel.only)
		}
	})
}

// Where a look failed, nobody says again that something has changed there.
func TestAfterAFailedLookAllIsLookedAt(t *testing.T) {
	facts := uplinkstest.Facts()
	kernel := &asked{Fake: uplinkstest.NewFake(facts)}
	k := NewKeeper(kernel, slog.New(slog.DiscardHandler), uplinkstest.Settings())
	for range 2 {
		k.Round(t.Context(), "test")
	}
	kernel.fail = errors.New("no buffer space available")
	k.Round(t.Context(), "test", uplinks.Place{Link: facts.Links["eth0"].Index})
	if whole(kernel.only) {
		t.Fatalf("looked at %v", kernel.only)
	}
	k.Round(t.Context(), "test", uplinks.Place{Link: facts.Links["eth1"].Index})
	if !whole(kernel.only) {
		t.Errorf("after a look that failed: looked at %v", kernel.only)
	}
}
