package monitor

import (
	"slices"
	"testing"
	"time"

	"replypath/health"
)

func TestBrokenReplyPathMakesTheUplinkUnproven(t *testing.T) {
	yes, unknown := health.ProofCheck{Result: health.Yes}, health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable}
	no := health.ProofCheck{Result: health.No, Cause: health.RuleMissing, Detail: "no rule leads to table 8201"}
	withMonitor(t, []string{"fibre"}, []health.Probe{icmpProbe(targetHost)}, func(h *harness) {
		k := h.paths[0].Key
		prove := func(routes, trace health.ProofCheck, stray uint64, want health.State, reason string) {
			t.Helper()
			h.monitor.UpdateProof(k, health.Proof{Routes: routes, Trace: trace, Replies: health.ReplyCounts{Stray: stray}})
			if got := h.status("fibre"); got.State != want || got.Reason != reason || got.Proof.Replies.Stray != stray {
				t.Errorf("%s: %q, want %s: %q", got.State, got.Reason, want, reason)
			}
		}
		if got := h.status("fibre").Proof; got.Routes.Result != health.Unknown || got.Trace.Result != health.Unknown {
			t.Errorf("before any proof: %+v", got)
		}
		h.advance(time.Second)
		h.newEvents()
		prove(unknown, unknown, 7, health.Up, "") // stray replies before the first proof
		prove(yes, yes, 7, health.Up, "")
		prove(yes, unknown, 7, health.Up, "")
		prove(health.ProofCheck{}, health.ProofCheck{}, 7, health.Up, "")
		prove(no, yes, 7, health.Unproven, "route lookup: no rule leads to table 8201")
		prove(yes, health.ProofCheck{Result: health.No, Cause: health.MarkNotSaved}, 7, health.Unproven, "traced reply: mark-not-saved")
		prove(yes, yes, 7, health.Up, "")
		prove(yes, yes, 9, health.Unproven, "2 replies of real connections left by another interface within the last minute")
		h.advance(30 * time.Second)
		prove(yes, yes, 9, health.Unproven, "2 replies of real connections left by another interface within the last minute")
		h.advance(31 * time.Second)
		h.expectStates("a minute without stray replies", health.Up)
		prove(yes, yes, 0, health.Up, "") // the counters were reset
		want := []string{"proof fibre unknown→no", "state fibre up→unproven", "proof fibre no→yes", "state fibre unproven→up",
			"proof fibre yes→no", "state fibre up→unproven", "proof fibre no→yes", "state fibre unproven→up"}
		if events := h.newEvents(); !slices.Equal(events, want) {
			t.Errorf("emitted %q,\nwant %q", events, want)
		}
		h.network.set(func(n *fakeNetwork) { n.blackholed["fibre"] = true })
		h.advance(4 * time.Second)
		h.monitor.UpdateProof(k, health.Proof{Routes: no})
		h.expectStates("a black hole with a broken reply path", health.Down)
		if got := h.status("fibre"); got.Flaps != 0 {
			t.Errorf("%d flaps without going down", got.Flaps)
		}
		h.monitor.UpdateProof(health.Key{Uplink: "other", Family: 4}, health.Proof{})
	})
}
