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

// A degradation is a verdict while the path is up, whatever comes first.
func TestDegradationIsAVerdictOfAPathThatIsUp(t *testing.T) {
	s := newTestService(t, &fakeHost{Kernel: uplinkstest.NewFake(uplinkstest.Facts())}, uplinkstest.Settings())
	recorder := s.configuration.recorder
	path := uplinks.PathKey{Uplink: "lte", Family: uplinks.IPv6}
	state := func(to string) {
		recorder.HandleMonitorEvent(health.Event{Kind: eventState, Uplink: "lte", Family: "ipv6", To: to})
	}
	degraded := func(is bool) { recorder.verdicts.HandleDegradation(health.Key(path), is) }
	for i, step := range []struct {
		change func()
		want   uplinks.Verdict
	}{
		{func() { state("up") }, uplinks.VerdictUp},
		{func() { degraded(true) }, uplinks.VerdictDegraded},
		{func() { state("unproven") }, uplinks.VerdictDegraded},
		{func() { state("down") }, uplinks.VerdictDown},
		{func() { degraded(false) }, uplinks.VerdictDown},
		{func() { state("up") }, uplinks.VerdictUp},
	} {
		step.change()
		if got := recorder.verdicts.Snapshot()[path]; got != step.want {
			t.Errorf("step %d: verdict %q, want %q", i, got, step.want)
		}
	}
}

// A hold-down is a verdict while the path is down, whatever comes first: it never makes one that is up be down.
func TestHoldDownIsAVerdictOfAPathThatIsDown(t *testing.T) {
	v := &verdicts{queue: newRoundQueue()}
	path := uplinks.PathKey{Uplink: "lte", Family: uplinks.IPv6}
	for i, step := range []struct {
		state uplinks.Verdict // "": as before
		held  bool
		want  uplinks.Verdict
	}{
		{uplinks.VerdictUp, false, uplinks.VerdictUp},
		{uplinks.VerdictDown, false, uplinks.VerdictDown},
		{"", true, uplinks.VerdictHeld},
		{"", false, uplinks.VerdictDown},
		{"", true, uplinks.VerdictHeld},
		{uplinks.VerdictUp, true, uplinks.VerdictUp},
		{"", false, uplinks.VerdictUp},
	} {
		if step.state != "" {
			v.set(path, step.state)
		}
		v.HandleHoldDown(health.Key(path), step.held)
		if got := v.Snapshot()[path]; got != step.want {
			t.Errorf("step %d: verdict %q, want %q", i, got, step.want)
		}
	}
}

// Without policies no object depends on a verdict: a round of the whole host for each would read all of it.
func TestAChangedVerdictRequestsARoundOfTheWholeHost(t *testing.T) {
	settings := uplinkstest.Settings()
	settings.Outbound = uplinks.Outbound{Default: "lte"}
	s := newTestService(t, &fakeHost{Kernel: uplinkstest.NewFake(uplinkstest.Facts())}, settings)
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
	s.reconciler.SetSettings(uplinkstest.Settings(), causeReload)
	if requested(health.Up) {
		t.Error("a round for a verdict although there are no policies")
	}
	one := uplinkstest.Settings()
	one.Uplinks = one.Uplinks[:1]
	s.reconciler.SetSettings(one, causeReload)
	if got := s.reconciler.verdicts.Snapshot(); len(got) != 0 {
		t.Errorf("verdicts of an uplink that was removed: %v", got)
	}
}
