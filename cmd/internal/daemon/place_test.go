package daemon

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// asked is a kernel that notes what of it is looked at.
type asked struct {
	*uplinkstest.Fake
	only [][]uplinks.Share
}

func (a *asked) Observe(ctx context.Context, only ...uplinks.Share) (uplinks.Facts, uplinks.State, error) {
	a.only = append(a.only, only)
	return a.Fake.Observe(ctx, only...)
}

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
	whole := func(looks [][]uplinks.Share) bool { return len(looks) > 0 && looks[len(looks)-1] == nil }
	for range 2 {
		if !whole(round(place)) {
			t.Error("before all was seen to be in order, or after a repair, the whole host is looked at")
		}
	}
	if looks := round(place); len(looks) != 1 || !slices.Equal(looks[0], eth0) {
		t.Errorf("looked at %v", looks)
	}
	if looks := round(uplinks.Place{Table: eth0[0].Table}); len(looks) != 1 || !slices.Equal(looks[0], eth0) {
		t.Errorf("a change of its table: looked at %v", looks)
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
	if looks := round(uplinks.Place{Link: facts.Links["eth1"].Index}); len(looks) != 1 || !slices.Contains(looks[0], eth0[0]) || !k.Report().InSync {
		t.Errorf("what was repaired is not looked at again: %v, %+v", looks, k.Report())
	}
	l.Addrs = nil
	facts.Links["eth0"] = l
	kernel.SetFacts(facts)
	if looks := round(place); len(looks) != 2 || !whole(looks) {
		t.Errorf("rules go by addresses, but only %v was looked at when one went", looks)
	}
}
