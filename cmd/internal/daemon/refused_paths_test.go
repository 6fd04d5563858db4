package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// refusal is a kernel that refuses the default routes of the second uplink in one family while it is on.
type refusal struct {
	*uplinkstest.Fake
	family uplinks.Family
	on     bool
	tries  int
}

func newRefusal(family uplinks.Family) *refusal {
	k := &refusal{Fake: uplinkstest.NewFake(uplinkstest.Facts()), family: family, on: true}
	k.Fail = func(s uplinks.Step) error {
		set, is := s.(uplinks.SetRoute)
		if !is || !k.on || set.Key.Table != 8202 || set.Key.Family != k.family || set.Route.Type != uplinks.Unicast || set.Key.Dst != k.family.DefaultPrefix() {
			return nil
		}
		k.tries++
		return fmt.Errorf("%s: %w: invalid argument", s, uplinks.ErrRefused)
	}
	return k
}

// state returns the kernel's state.
func (k *refusal) state(t *testing.T) uplinks.State {
	t.Helper()
	_, have, err := k.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// reconcileTwice reconciles until the kernel is in sync, and returns the report.
func reconcileTwice(t *testing.T, r *Reconciler) Report {
	t.Helper()
	r.Reconcile(t.Context(), "test")
	r.Reconcile(t.Context(), "test")
	if report := r.Report(); report.Err != nil || !report.InSync {
		t.Fatalf("report %+v", report)
	}
	return r.Report()
}

// withoutFamily returns the settings with the second uplink's family not managed.
func withoutFamily(family uplinks.Family) uplinks.Settings {
	s := uplinkstest.Settings()
	if family == uplinks.IPv4 {
		s.Uplinks[1].Gateway4 = uplinks.Gateway{}
	} else {
		s.Uplinks[1].Gateway6 = uplinks.Gateway{}
	}
	return s
}

// mustMatch fails the test unless the kernel is as these settings want it.
func (k *refusal) mustMatch(t *testing.T, s uplinks.Settings) {
	t.Helper()
	if plan, _, err := uplinks.Preview(t.Context(), k, s, nil); err != nil || len(plan) != 0 {
		t.Errorf("missing steps, %v:\n%s", err, plan)
	}
}

func TestRefusedPathIsLeftOut(t *testing.T) {
	for _, family := range uplinks.Families {
		k := newRefusal(family)
		r := newTestReconciler(k, uplinkstest.Settings())
		report := reconcileTwice(t, r)
		k.mustMatch(t, withoutFamily(family))
		if !slices.ContainsFunc(findingTexts(report), func(text string) bool {
			return strings.Contains(text, fmt.Sprintf("uplink lte: %s is left out", family)) && strings.Contains(text, "invalid argument")
		}) {
			t.Errorf("findings %v", report.Findings)
		}
	}
}

// TestRefusedPathIsTriedAgain counts tries and log lines over ten minutes, after which the kernel accepts the route.
func TestRefusedPathIsTriedAgain(t *testing.T) {
	for _, family := range uplinks.Families {
		synctest.Test(t, func(t *testing.T) {
			k := newRefusal(family)
			var logged bytes.Buffer
			r := NewReconciler(k, slog.New(slog.NewTextHandler(&logged, nil)), uplinkstest.Settings(), &verdicts{queue: newRoundQueue()}, noListener{})
			reconcileTwice(t, r)
			tries, writes := k.tries, k.Writes
			for range 100 {
				if next := r.Reconcile(t.Context(), "test"); next > minRefusalDelay {
					t.Fatalf("the next try comes after %s", next)
				}
			}
			if k.tries != tries || k.Writes != writes {
				t.Errorf("%d tries and %d steps before the delay is over", k.tries-tries, k.Writes-writes)
			}
			for range 600 {
				time.Sleep(time.Second)
				r.Reconcile(t.Context(), "test")
			}
			if n := k.tries - tries; n < 18 || n > 30 || k.Writes-writes != n {
				t.Errorf("%d tries and %d steps in ten minutes", n, k.Writes-writes)
			}
			if n := strings.Count(logged.String(), "is left out"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, logged.String())
			}
			k.on = false
			time.Sleep(maxRefusalDelay)
			reconcileTwice(t, r)
			k.mustMatch(t, uplinkstest.Settings())
		})
	}
}

func findingTexts(r Report) (all []string) {
	for _, f := range r.Findings {
		all = append(all, f.String())
	}
	return all
}

// TestRefusedPathIsTriedAtOnceWithAnotherRoute changes the facts of the host so that the path has another route.
func TestRefusedPathIsTriedAtOnceWithAnotherRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRefusal(uplinks.IPv4)
		r := newTestReconciler(k, uplinkstest.Settings())
		reconcileTwice(t, r)
		k.on = false
		facts := uplinkstest.Facts()
		l := facts.Links["eth1"]
		l.Defaults = []uplinks.NextHop{{Family: uplinks.IPv4, Table: uplinks.MainTable, Gateway: netip.MustParseAddr("192.0.2.1"), Metrics: marks.NewList(uplinks.Metric{Name: "mtu", Value: 1400})}}
		facts.Links["eth1"] = l
		k.SetFacts(facts)
		r.Reconcile(t.Context(), "test", uplinks.ChangedScope{Link: l.Index})
		k.mustMatch(t, uplinkstest.Settings())
	})
}

// TestRefusedPathIsTriedAtOnceWithNewSettings sets the same settings again, as a reload does.
func TestRefusedPathIsTriedAtOnceWithNewSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRefusal(uplinks.IPv4)
		r := newTestReconciler(k, uplinkstest.Settings())
		reconcileTwice(t, r)
		k.on = false
		r.SetSettings(uplinkstest.Settings(), "test")
		r.Reconcile(t.Context(), "test")
		k.mustMatch(t, uplinkstest.Settings())
	})
}

// TestMistakeThatMainContradictsIsTakenIn gives an uplink a gateway in a network of the other uplink, by which main gets a route.
func TestMistakeThatMainContradictsIsTakenIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := uplinkstest.Settings()
		s.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.1")}
		k := newRefusal(uplinks.IPv4)
		k.on = false
		r := newTestReconciler(k, s)
		reconcileTwice(t, r)
		k.mustMatch(t, withoutFamily(uplinks.IPv4))
		facts := uplinkstest.Facts()
		facts.GatewayRoutes = append(facts.GatewayRoutes, uplinks.GatewayRoute{Dst: netip.MustParsePrefix("203.0.113.0/24"), Gateway: s.Uplinks[1].Gateway4.Addr, Link: "eth1"})
		k.SetFacts(facts)
		r.Reconcile(t.Context(), "test", uplinks.ChangedScope{Link: facts.Links["eth1"].Index})
		k.mustMatch(t, s)
	})
}

// TestRefusedChangeKeepsThePathInForce changes the gateways of both uplinks, of which one is refused, and then undoes a rule of
// the path that is kept.
func TestRefusedChangeKeepsThePathInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRefusal(uplinks.IPv4)
		k.on = false
		r := newTestReconciler(k, uplinkstest.Settings())
		reconcileTwice(t, r)
		old := k.state(t)
		k.on = true
		moved := uplinkstest.Settings()
		moved.Uplinks[0].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.9")}
		moved.Uplinks[1].Gateway4 = uplinks.Gateway{Addr: netip.MustParseAddr("192.0.2.9")}
		r.SetSettings(moved, "test")
		for range 3 {
			reconcileTwice(t, r)
			now := k.state(t)
			for key, route := range old.Routes {
				if key.Table == 8202 && now.Routes[key] != route {
					t.Errorf("route %+v became %+v", route, now.Routes[key])
				}
			}
			key := uplinks.RouteKey{Family: uplinks.IPv4, Table: 8201, Dst: uplinks.IPv4.DefaultPrefix()}
			if now.Routes[key].Gateway != moved.Uplinks[0].Gateway4.Addr {
				t.Errorf("the other uplink is not changed: %+v", now.Routes[key])
			}
			for rule := range old.Rules {
				if !now.Rules[rule] {
					t.Errorf("the rule %s is gone", rule)
				}
				k.ApplyForeign(t, uplinks.DelRule{Rule: rule})
			}
		}
	})
}
