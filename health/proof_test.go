package health

import (
	"slices"
	"testing"
	"time"
)

func TestAReplyPathThatIsNotRightMakesItUnproven(t *testing.T) {
	yes, unknown := Check{Result: Yes}, Check{Result: Unknown, Cause: CannotShow}
	no := Check{Result: No, Cause: RuleMissing, Why: "no rule leads to table 8201"}
	in(t, []string{"fibre"}, []Probe{ping(pinged)}, func(r *rig) {
		k := r.paths[0].Key
		prove := func(asked, shown Check, stray uint64, want State, reason string) {
			t.Helper()
			r.monitor.Prove(k, Proof{Asked: asked, Shown: shown, Seen: Seen{Stray: stray}})
			if got := r.at("fibre"); got.State != want || got.Reason != reason || got.Proof.Seen.Stray != stray {
				t.Errorf("%s: %q, want %s: %q", got.State, got.Reason, want, reason)
			}
		}
		if got := r.at("fibre").Proof; got.Asked.Result != Unknown || got.Shown.Result != Unknown {
			t.Errorf("before any proof: %+v", got)
		}
		r.pass(time.Second)
		r.news()
		prove(unknown, unknown, 7, Up, "") // an old stray is nobody's news
		prove(yes, yes, 7, Up, "")
		prove(yes, unknown, 7, Up, "")
		prove(Check{}, Check{}, 7, Up, "")
		prove(no, yes, 7, Unproven, "the kernel would not route replies back: no rule leads to table 8201")
		prove(yes, Check{Result: No, Cause: NotSaved}, 7, Unproven, "a reply was seen to stray: mark-not-saved")
		prove(yes, yes, 7, Up, "")
		prove(yes, yes, 9, Unproven, "2 replies of real connections left by another link a moment ago")
		r.pass(30 * time.Second)
		prove(yes, yes, 9, Unproven, "2 replies of real connections left by another link a moment ago")
		r.pass(31 * time.Second)
		r.expect("a minute without strays", Up)
		prove(yes, yes, 0, Up, "") // the counters began anew
		want := []string{"proof fibre unknown→no", "state fibre up→unproven", "proof fibre no→yes", "state fibre unproven→up",
			"proof fibre yes→no", "state fibre up→unproven", "proof fibre no→yes", "state fibre unproven→up"}
		if news := r.news(); !slices.Equal(news, want) {
			t.Errorf("told %q,\nwant %q", news, want)
		}
		r.net.set(func(n *internet) { n.holes["fibre"] = true })
		r.pass(4 * time.Second)
		r.monitor.Prove(k, Proof{Asked: no})
		r.expect("down is worse", Down)
		if got := r.at("fibre"); got.Flaps != 0 {
			t.Errorf("unproven is no flap: %d", got.Flaps)
		}
		r.monitor.Prove(Key{"nobody", 4}, Proof{})
	})
}
