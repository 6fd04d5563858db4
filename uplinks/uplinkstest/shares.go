package uplinkstest

import (
	"reflect"
	"slices"
	"testing"

	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// shares checks that a look at some shares sees what a look at the whole host sees of them.
func shares(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	sharesAgree(t, w)
	synced(t, w, Settings())
	sharesAgree(t, w)
	facts, _ := observe(t, w)
	gone := Settings().Shares("ghost0")
	part, have, err := w.Observe(t.Context(), gone...)
	if err != nil || len(part.Links) > 0 || len(have.Routes)+len(have.Tunables) > 0 {
		t.Errorf("of a link that is not there: %+v, %+v, %v", part.Links, have, err)
	}
	if !facts.Moves(uplinks.Facts{Only: Settings().Shares("eth0")}) {
		t.Error("an uplink's link went, and nothing else moves")
	}
}

// sharesAgree checks it with the world as it is.
func sharesAgree(t *testing.T, w World) {
	t.Helper()
	facts, have := observe(t, w)
	want := uplinks.Desired(Settings(), facts)
	for _, only := range [][]uplinks.Share{
		Settings().Shares("eth0"), Settings().Shares("eth1"), Settings().Shares("lan0"),
		slices.Concat(Settings().Shares("eth1"), Settings().Shares("lan0"), Settings().Shares("eth0")),
		{{Table: Settings().Table(Settings().Uplinks[0])}},
		{{Table: Settings().Table(Settings().Uplinks[0])}, Settings().Shares("eth1")[0]},
	} {
		part, seen, err := w.Observe(t.Context(), only...)
		if err != nil {
			t.Fatalf("%v: %v", only, err)
		}
		anyOrder := cmpopts.SortSlices(func(a, b uplinks.Routed) bool { return a.Link < b.Link })
		if diff := cmp.Diff(facts.Links, facts.With(part).Links, exact); diff != "" {
			t.Errorf("%v: links (- is what the whole says):\n%s", only, diff)
		}
		if diff := cmp.Diff(facts.Routed, facts.With(part).Routed, exact, anyOrder, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v: routes by gateways (- is what the whole says):\n%s", only, diff)
		}
		if facts.Moves(part) {
			t.Errorf("%v: nothing has happened, and more than them moves", only)
		}
		wantPart := uplinks.Desired(Settings(), facts.With(part).Of(only))
		if diff := cmp.Diff(uplinks.Diff(within(want, only), within(have, only)).String(), uplinks.Diff(wantPart, seen).String()); diff != "" {
			t.Errorf("%v: plan (- is what the whole says):\n%s", only, diff)
		}
		if got, all := Dump(seen), Dump(within(have, only)); got != all {
			t.Errorf("%v: what is ours (- is what the whole says):\n%s", only, cmp.Diff(all, got))
		}
	}
}

// exact compares plain values by ==, those with hidden fields too.
var exact = cmp.Exporter(func(reflect.Type) bool { return true })

// within is the part of a state that is in shares: their tables and their links' tunables.
func within(s uplinks.State, shares []uplinks.Share) uplinks.State {
	part := uplinks.NewState()
	links, tables := map[string]bool{}, map[uplinks.Table]bool{}
	for _, of := range shares {
		links[of.Link], tables[of.Table] = true, true
	}
	for k, r := range s.Routes {
		if tables[k.Table] {
			part.Routes[k] = r
		}
	}
	for t, value := range s.Tunables {
		if t.Link != "" && links[t.Link] {
			part.Tunables[t] = value
		}
	}
	return part
}
