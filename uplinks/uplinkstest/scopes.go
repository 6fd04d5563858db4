package uplinkstest

import (
	"reflect"
	"slices"
	"testing"

	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// scopesMatchFullObservation checks that a partial observation equals the same part of a full one.
func scopesMatchFullObservation(t *testing.T, open func(t *testing.T) World) {
	w := open(t)
	checkScopes(t, w)
	mustSync(t, w, Settings())
	checkScopes(t, w)
	facts, _ := observe(t, w)
	gone := Settings().ScopesOf("ghost0")
	part, have, err := w.Observe(t.Context(), gone...)
	if err != nil || len(part.Links) > 0 || len(have.Routes)+len(have.Tunables) > 0 {
		t.Errorf("observation of an absent link: %+v, %+v, %v", part.Links, have, err)
	}
	if !facts.NeedsFullResync(uplinks.Facts{Scopes: Settings().ScopesOf("eth0")}) {
		t.Error("an uplink's link is deleted, and no full resync is needed")
	}
}

// checkScopes checks it on the world as it is.
func checkScopes(t *testing.T, w World) {
	t.Helper()
	facts, have := observe(t, w)
	want := uplinks.Desired(Settings(), facts, nil)
	for _, scopes := range [][]uplinks.Scope{
		Settings().ScopesOf("eth0"), Settings().ScopesOf("eth1"), Settings().ScopesOf("lan0"),
		slices.Concat(Settings().ScopesOf("eth1"), Settings().ScopesOf("lan0"), Settings().ScopesOf("eth0")),
		{{Table: Settings().Table(Settings().Uplinks[0])}},
		{{Table: Settings().Table(Settings().Uplinks[0])}, Settings().ScopesOf("eth1")[0]},
	} {
		part, partState, err := w.Observe(t.Context(), scopes...)
		if err != nil {
			t.Fatalf("%v: %v", scopes, err)
		}
		anyOrder := cmpopts.SortSlices(func(a, b uplinks.GatewayRoute) bool { return a.Link < b.Link })
		if diff := cmp.Diff(facts.Links, facts.Merge(part).Links, compareUnexported); diff != "" {
			t.Errorf("%v: links (-full +partial):\n%s", scopes, diff)
		}
		if diff := cmp.Diff(facts.GatewayRoutes, facts.Merge(part).GatewayRoutes, compareUnexported, anyOrder, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v: gateway routes (-full +partial):\n%s", scopes, diff)
		}
		if facts.NeedsFullResync(part) {
			t.Errorf("%v: nothing has changed, and a full resync is needed", scopes)
		}
		wantPart := uplinks.Desired(Settings(), facts.Merge(part).WithScopes(scopes), nil)
		if diff := cmp.Diff(uplinks.Diff(stateWithin(want, scopes), stateWithin(have, scopes)).String(), uplinks.Diff(wantPart, partState).String()); diff != "" {
			t.Errorf("%v: plan (-full +partial):\n%s", scopes, diff)
		}
		if got, all := Dump(partState), Dump(stateWithin(have, scopes)); got != all {
			t.Errorf("%v: state (-full +partial):\n%s", scopes, cmp.Diff(all, got))
		}
	}
}

// compareUnexported compares unexported fields too.
var compareUnexported = cmp.Exporter(func(reflect.Type) bool { return true })

// stateWithin returns the part of the state in the scopes: the routes of their tables and the tunables of their links.
func stateWithin(s uplinks.State, scopes []uplinks.Scope) uplinks.State {
	part := uplinks.NewState()
	part.Flows = s.Flows
	links, tables := map[string]bool{}, map[uplinks.Table]bool{}
	for _, scope := range scopes {
		links[scope.Link], tables[scope.Table] = true, true
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
