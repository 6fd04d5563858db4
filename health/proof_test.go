package health

import (
	"slices"
	"testing"
	"time"
)

func TestBrokenReplyPathMakesTheUplinkUnproven(t *testing.T) {
	yes, unknown := ProofCheck{Result: Yes}, ProofCheck{Result: Unknown, Cause: TraceUnavailable}
	no := ProofCheck{Result: No, Cause: RuleMissing, Detail: "no rule leads to table 8201"}
	withMonitor(t, []string{"fibre"}, []Probe{icmpProbe(targetHost)}, func(r *harness) {
		k := r.paths[0].Key
		prove := func(asked, shown ProofCheck, stray uint64, want State, reason string) {
			t.Helper()
			r.monitor.UpdateProof(k, Proof{Routes: asked, Trace: shown, Replies: ReplyCounts{Stray: stray}})
			if got := r.status("fibre"); got.State != want || got.Reason != reason || got.Proof.Replies.Stray != stray {
				t.Errorf("%s: %q, want %s: %q", got.State, got.Reason, want, reason)
			}
		}
		if got := r.status("fibre").Proof; got.Routes.Result != Unknown || got.Trace.Result != Unknown {
			t.Errorf("before any proof: %+v", got)
		}
		r.advance(time.Second)
		r.newEvents()
		prove(unknown, unknown, 7, Up, "") // an old stray is nobody's news
		prove(yes, yes, 7, Up, "")
		prove(yes, unknown, 7, Up, "")
		prove(ProofCheck{}, ProofCheck{}, 7, Up, "")
		prove(no, yes, 7, Unproven, "the kernel would not route replies back: no rule leads to table 8201")
		prove(yes, ProofCheck{Result: No, Cause: MarkNotSaved}, 7, Unproven, "a reply was seen to stray: mark-not-saved")
		prove(yes, yes, 7, Up, "")
		prove(yes, yes, 9, Unproven, "2 replies of real connections left by another link a moment ago")
		r.advance(30 * time.Second)
		prove(yes, yes, 9, Unproven, "2 replies of real connections left by another link a moment ago")
		r.advance(31 * time.Second)
		r.expectStates("a minute without strays", Up)
		prove(yes, yes, 0, Up, "") // the counters began anew
		want := []string{"proof fibre unknown→no", "state fibre up→unproven", "proof fibre no→yes", "state fibre unproven→up",
			"proof fibre yes→no", "state fibre up→unproven", "proof fibre no→yes", "state fibre unproven→up"}
		if news := r.newEvents(); !slices.Equal(news, want) {
			t.Errorf("told %q,\nwant %q", news, want)
		}
		r.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		r.advance(4 * time.Second)
		r.monitor.UpdateProof(k, Proof{Routes: no})
		r.expectStates("down is worse", Down)
		if got := r.status("fibre"); got.Flaps != 0 {
			t.Errorf("unproven is no flap: %d", got.Flaps)
		}
		r.monitor.UpdateProof(Key{"nobody", 4}, Proof{})
	})
}
