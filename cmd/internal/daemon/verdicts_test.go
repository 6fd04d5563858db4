package daemon

import (
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

func TestAChangedVerdictRequestsARoundOfTheWholeHost(t *testing.T) {
	s := newTestService(t, &fakeHost{Kernel: uplinkstest.NewFake(uplinkstest.Facts())}, uplinkstest.Settings())
	s.loop.queue.takeScopes()
	requested := func(to health.State) bool {
		s.configuration.recorder.HandleMonitorEvent(health.Event{Kind: eventState, Uplink: "lte", Family: "ipv6", To: string(to)})
		select {
		case <-s.loop.queue.reasons:
			if scopes := s.loop.queue.takeScopes(); len(scopes) != 0 {
				t.Errorf("the round observes only %v", scopes)
			}
			return true
		default:
			return false
		}
	}
	if !requested(health.Up) || requested(health.Up) || !requested(health.Down) {
		t.Error("a round for a verdict that has not changed, or none for one that has")
	}
	if got := s.reconciler.verdicts.Snapshot(); len(got) != 1 || got[uplinks.PathKey{Uplink: "lte", Family: uplinks.IPv6}] != uplinks.VerdictDown {
		t.Errorf("verdicts %v", got)
	}
	one := uplinkstest.Settings()
	one.Uplinks = one.Uplinks[:1]
	s.reconciler.SetSettings(one, causeReload)
	if got := s.reconciler.verdicts.Snapshot(); len(got) != 0 {
		t.Errorf("verdicts of an uplink that was removed: %v", got)
	}
}
