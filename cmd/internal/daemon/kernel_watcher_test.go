package daemon

import (
	"slices"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

func TestKernelEventRequestsARoundOfItsScope(t *testing.T) {
	s := newTestService(t, &fakeHost{}, uplinkstest.Settings())
	scope := uplinks.ChangedScope{Link: 7}
	s.links.HandleEvent(host.Event{Subject: "rule", Origin: "netlink port 42", Scope: scope})
	select {
	case reason := <-s.loop.queue.reasons:
		if scopes := s.loop.queue.takeScopes(); reason != "rule" || !slices.Equal(scopes, []uplinks.ChangedScope{scope}) {
			t.Errorf("a round of %v because of %q", scopes, reason)
		}
	default:
		t.Error("no round is requested")
	}
	if got := s.reconciler.suspects.Snapshot()["rule"]; got != "netlink port 42" {
		t.Errorf("the suspect is %q", got)
	}
}

func TestLinkEventReachesTheMonitorAndThePoller(t *testing.T) {
	settings, facts := uplinkstest.Settings(), uplinkstest.Facts()
	s := newTestService(t, &fakeHost{}, settings)
	var uplinkSettings []health.UplinkSettings
	for _, u := range settings.Uplinks {
		uplinkSettings = append(uplinkSettings, health.UplinkSettings{Name: u.Name, Quorum: 1})
	}
	s.proofs.configure(health.Settings{Uplinks: uplinkSettings})
	s.proofs.updatePaths(settings, facts, nil)
	s.links.HandleEvent(host.Event{Subject: "link", Link: uplinks.LinkState{Name: "eth0", Up: true}, Scope: uplinks.ChangedScope{Link: facts.Links["eth0"].Index}})
	if reason := s.monitor.Status()[0].Families[0].Reason; reason != "no carrier on eth0" {
		t.Errorf("the monitor has %q", reason)
	}
	if len(s.carriers.changed) != 1 {
		t.Error("the carriers are not polled faster")
	}
}

func TestFingerprintThatChangesRequestsARound(t *testing.T) {
	s := newTestService(t, &fakeHost{}, uplinkstest.Settings()) // whose fingerprint is 0
	s.fingerprints.expect(1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.fingerprints.Run(t.Context())
	}()
	t.Cleanup(func() { <-ended })
	if reason := <-s.loop.queue.reasons; reason != "sysctl or firewall" {
		t.Errorf("a round because of %q", reason)
	}
}
