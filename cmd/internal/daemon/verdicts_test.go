package daemon

import (
	"log/slog"
	"testing"

	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// TestVerdictsAreTheStatesOfHealth holds the words together: uplinks may not import health.
func TestVerdictsAreTheStatesOfHealth(t *testing.T) {
	for verdict, state := range map[uplinks.Verdict]health.State{
		uplinks.VerdictAbsent: health.Absent, uplinks.VerdictDown: health.Down,
		uplinks.VerdictUnproven: health.Unproven, uplinks.VerdictUp: health.Up,
	} {
		if string(verdict) != string(state) {
			t.Errorf("verdict %q, state %q", verdict, state)
		}
	}
}

func TestAChangedVerdictTriggersARoundOfTheWholeHost(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s := &Service{Log: log, loop: NewLoop(nil), reconciler: NewReconciler(uplinkstest.NewFake(uplinkstest.Facts()), log, uplinkstest.Settings())}
	triggered := func(to health.State) bool {
		s.recordVerdict(health.Event{Kind: eventState, Uplink: "lte", Family: "ipv6", To: string(to)})
		select {
		case <-s.loop.triggers:
			if scopes := s.dirty.take(); len(scopes) != 0 {
				t.Errorf("the round observes only %v", scopes)
			}
			return true
		default:
			return false
		}
	}
	if !triggered(health.Up) || triggered(health.Up) || !triggered(health.Down) {
		t.Error("a round for a verdict that has not changed, or none for one that has")
	}
	if _, verdicts := s.reconciler.desiredInput(); len(verdicts) != 1 || verdicts[uplinks.PathKey{Uplink: "lte", Family: uplinks.IPv6}] != uplinks.VerdictDown {
		t.Errorf("verdicts %v", verdicts)
	}
	one := uplinkstest.Settings()
	one.Uplinks = one.Uplinks[:1]
	s.reconciler.SetSettings(one)
	if _, verdicts := s.reconciler.desiredInput(); len(verdicts) != 0 {
		t.Errorf("verdicts of an uplink that was removed: %v", verdicts)
	}
}
