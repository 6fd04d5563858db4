package uplinks_test

import (
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// Of all objects only routes and rules of outbound connections depend on verdicts.
func TestFailoverPlanIsTheDifferenceOfBothStates(t *testing.T) {
	s, f := outboundSettings(), uplinkstest.Facts()
	all := []uplinks.Verdict{uplinks.VerdictUp, uplinks.VerdictDown, uplinks.VerdictDegraded, uplinks.VerdictAbsent, uplinks.VerdictUnproven}
	s.Outbound.Policies[1].AvoidDegraded = true
	var states []uplinks.Verdicts
	for _, fibre := range all {
		for _, lte := range all {
			v := uplinks.Verdicts{}
			for _, family := range uplinks.Families {
				v[uplinks.PathKey{Uplink: "fibre", Family: family}], v[uplinks.PathKey{Uplink: "lte", Family: family}] = fibre, lte
			}
			states = append(states, v)
		}
	}
	steps := 0
	for _, before := range states {
		for _, now := range states {
			got := uplinks.FailoverPlan(s, f, before, now)
			steps += len(got)
			if want := uplinks.Diff(uplinks.Desired(s, f, now), uplinks.Desired(s, f, before)); got.String() != want.String() {
				t.Fatalf("from %v to %v:\n%sinstead of\n%s", before, now, got, want)
			}
		}
	}
	if steps == 0 {
		t.Error("there are no steps")
	}
}

// What is computed between a new verdict and the first write, with a policy over all uplinks.
func BenchmarkFailoverPlan(b *testing.B) {
	s, f := uplinkstest.ManyUplinks(31, nil)
	var members []uplinks.Member
	for _, u := range s.Uplinks {
		members = append(members, uplinks.Member{Uplink: u.Name, Weight: 1})
	}
	s.Outbound = uplinks.Outbound{Default: "p", Masquerade: uplinks.MasqueradeBoth, Policies: []uplinks.Policy{{Name: "p", Tiers: [][]uplinks.Member{members}, LastResort: uplinks.LastMain, MoveFailed: true}}}
	down := uplinks.Verdicts{{Uplink: s.Uplinks[1].Name, Family: uplinks.IPv4}: uplinks.VerdictDown}
	for b.Loop() {
		if len(uplinks.FailoverPlan(s, f, nil, down)) != 1 {
			b.Fatal("not one step")
		}
	}
}
